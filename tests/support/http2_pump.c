/* SPDX-License-Identifier: Apache-2.0 */
/* http2_pump.c - one poll() at a time, both directions. */
#include "support/http2_pump.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define STUCK_MS 20000
#define TURN_BYTES (256 << 10)

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static bool send_some(int descriptor, struct buf *out, size_t *sends)
{
    ssize_t sent = send(descriptor, out->data, out->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sends != NULL)
        ++*sends;
    if (sent > 0)
        mesh__buf_consume(out, (size_t)sent);
    return sent >= 0 || would_block();
}

/* Everything that can be sent now; false when the peer has closed. */
static bool flush(struct http2_conn *conn, int descriptor, struct buf *out, size_t *sends, bool *broken)
{
    *broken = mesh__http2_write(conn, out, TURN_BYTES) != MESH_OK;
    return out->size == 0 || send_some(descriptor, out, sends);
}

static enum pump wait_and_read(struct http2_conn *conn, int descriptor, const struct buf *out)
{
    static char bytes[65536];
    struct pollfd poller = { descriptor, (short)(POLLIN | (out->size > 0 ? POLLOUT : 0)), 0 };
    if (poll(&poller, 1, STUCK_MS) == 0)
        return PUMP_STUCK;
    ssize_t size = recv(descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && !would_block()))
        return PUMP_CLOSED;
    if (size > 0 && mesh__http2_read(conn, bytes, (size_t)size) != MESH_OK)
        return PUMP_BROKEN;
    return PUMP_DONE;
}

enum pump http2_pump(struct http2_conn *conn, int descriptor, bool (*done)(void *user), void *user, size_t *sends)
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, SIZE_MAX / 2);
    enum pump result = PUMP_DONE;
    while (result == PUMP_DONE) {
        bool broken;
        if (!flush(conn, descriptor, &out, sends, &broken))
            result = PUMP_CLOSED;
        else if (broken)
            result = PUMP_BROKEN;
        else if (done(user) && out.size == 0 && !mesh__http2_wants_write(conn))
            break;
        else
            result = wait_and_read(conn, descriptor, &out);
    }
    mesh__buf_fini(&out);
    return result;
}
