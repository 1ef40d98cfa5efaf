/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - a non-blocking byte stream on a loop: a socket, a stream in memory, or one that wraps another.
 *
 * Its user says what it would like to do (interest); the stream says what it waits for to get there (wants), which may
 * be the other direction: a TLS stream can need to write before it can read. After each step the user calls
 * mesh__stream_arm() with its interest; when `ready` comes it tries again. Reading goes on while has_buffered_input()
 * says so, since no readiness announces bytes that have left the socket already. */
#ifndef MESH__NET_STREAM_H
#define MESH__NET_STREAM_H

#include "net/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

struct stream;

struct stream_ops {
    /* Bytes moved; 0 from read: the peer has finished; -EAGAIN; another negative errno: the stream is broken. */
    ssize_t (*read)(struct stream *, void *bytes, size_t size);
    ssize_t (*write)(struct stream *, const struct iovec *vector, int count);

    /* 0 once connected, -EINPROGRESS until then, another negative errno when that failed. */
    int (*connected)(struct stream *);

    /* Which events of what lies below (enum loop_events) serve this interest. */
    uint32_t (*wants)(const struct stream *, uint32_t interest);

    /* Has `ready` called for these events from now on. */
    void (*arm)(struct stream *, uint32_t events);

    bool (*has_buffered_input)(const struct stream *);

    /* Looks whether the peer has neither finished nor sent anything. If not, the stream is of no more use: over TLS the
     * look has taken a byte. */
    bool (*is_quiet)(struct stream *);

    /* Says that nothing more will be written; the peer may still send. 0, or a negative errno: it cannot be said. */
    int (*finish)(struct stream *);

    /* Closes and frees; no `ready` comes any more. */
    void (*close)(struct stream *);
};

struct stream {
    const struct stream_ops *ops;
    void (*ready)(void *user, uint32_t events); /* enum loop_events; never from inside one of the functions above */
    void *user;
};

static inline void mesh__stream_arm(struct stream *stream, uint32_t interest)
{
    stream->ops->arm(stream, stream->ops->wants(stream, interest));
}

#endif
