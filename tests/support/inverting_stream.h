/* SPDX-License-Identifier: Apache-2.0 */
/* inverting_stream.h - a world whose connections are as awkward as a stream may be.
 *
 * Each stream wraps one of a lower world. It is not connected until a few turns after the lower one is; before it reads
 * it waits until the lower stream can be written, and before it writes until something happens below, as TLS does; it
 * tells of the events of the lower stream as they come; it reads ahead and then gives the first bytes of a message one
 * by one, saying has_buffered_input(); and it takes 1 to 7 bytes of the first bytes written, with -EAGAIN between. */
#ifndef TESTS_SUPPORT_INVERTING_STREAM_H
#define TESTS_SUPPORT_INVERTING_STREAM_H

#include "net/stream.h"

struct inverting_world {
    struct world world;
    const struct world *lower;
};

void inverting_world_init(struct inverting_world *, const struct world *lower);

/* One such stream; it owns the lower one. The test ends where memory is out. */
struct stream *inverting_stream_new(struct stream *lower);

#endif
