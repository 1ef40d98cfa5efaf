/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http2.h - what the HTTP/2 channels of one loop share: their memory, and a place for bytes on their way out.
 *
 * Steady calls take no memory from the allocator: streams and fields come from the pool, and frames are written into
 * `out`, from which they go to the connection at once. Only what a connection does not take is kept, by its channel. */
#ifndef MESH__NET_CHANNEL_HTTP2_H
#define MESH__NET_CHANNEL_HTTP2_H

#include "base/buf.h"
#include "wire/http2_pool.h"

struct http2_desk {
    struct http2_pool pool;
    struct buf out; /* empty but while a channel writes */
};

void mesh__http2_desk_init(struct http2_desk *, const struct mem *);

/* When no channel is left. */
void mesh__http2_desk_fini(struct http2_desk *);

#endif
