/* SPDX-License-Identifier: Apache-2.0 */
/* http_layers.h - the streams that a peer puts over its connections. */
#ifndef TESTS_SUPPORT_HTTP_LAYERS_H
#define TESTS_SUPPORT_HTTP_LAYERS_H

#include "net/tls_stream.h"
#include "support/http_peer.h"

/* The uppermost; it owns the others. */
struct stream *http_layers_over(const struct http_layers *, struct tls_desk *, struct stream *below);

#endif
