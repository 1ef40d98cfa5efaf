/* SPDX-License-Identifier: Apache-2.0 */
/* http_layers.c - an awkward stream, and TLS over it. */
#include "support/http_layers.h"

#include "support/http_connection.h"
#include "support/inverting_stream.h"

struct stream *http_layers_over(const struct http_layers *layers, struct tls_desk *desk, struct stream *below)
{
    struct stream *stream = layers->awkward ? inverting_stream_new(below) : below;
    if (layers->spec) {
        struct tls_plan plan = { .desk = desk, .spec = layers->spec, .side = TLS_SERVER, .timeout = 60 * NANOS_S };
        struct stream *lower = stream;
        http_connection_must(mesh__tls_stream_new(&plan, lower, &stream) == 0, "a TLS stream");
    }
    return stream;
}
