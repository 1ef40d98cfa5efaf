/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/stream.h - calls whose bodies come and go in pieces: uploads, downloads, conversations, gRPC messages. */
#ifndef MESH_STREAM_H
#define MESH_STREAM_H

#include <mesh/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Further flags of a request, for mesh_stream_open() and mesh_call_stream() alone. */
enum mesh_stream_flag {
    MESH_STREAM_NOTIFY = 0x100, /* after MESH_EAGAIN, a completion of kind MESH_COMPLETION_STREAM */
    MESH_STREAM_WHOLE = 0x200   /* request.body is all of the request: it is sent with its size, and nothing is written.
                                   GET and HEAD are always so */
};

/* A stream is a call. It is balanced, limited, counted, traced and retried as any other, until its response's head is
 * handed on, or more of its request has been given to a connection than the service's `retry.replay` keeps: then there
 * is no other attempt. Ids and tokens cancel it.
 *
 * The deadline covers the whole stream. It is the inbound deadline or the timeout, whichever is earlier; here
 * request.timeout_ns takes the place of the service's `timeout`, and may be longer: 0 is the service's, below 0 none.
 *
 * Flow is held back at both ends: at most 64 KiB of written bytes (or `retry.replay`, if that is more) wait to be sent,
 * and the peer sends no more than fits in its window until what came has been read. `max_body` limits one gRPC message,
 * not the response.
 *
 * One thread may write while another reads; two must not do the same at once. Any thread may cancel. Waiting functions
 * take a timeout as mesh_client_next() does: 0 never waits, below 0 waits as long as the stream lasts. Where nothing
 * could be done in that time they answer MESH_EAGAIN. A wait answers MESH_EREENTRY in external mode and inside a
 * loop's turn. Once the call has ended, each function that found nothing to do answers with what it ended with:
 * mesh_result_code() of its result. A stream outlives its client, whose end cancels it; in a child after fork() each
 * function answers MESH_EFORKED. */

/* Opens a stream and does not wait. `request->body`, if any, is copied and sent first. `user` comes back in
 * completions. The stream is the caller's until mesh_stream_finish(). What mesh_call() would answer later, an unknown
 * service as well, the stream ends with. MESH_EINVAL, MESH_ECLOSED, MESH_NO_MEMORY: there is none. */
MESH_API MESH_NODISCARD mesh_status mesh_stream_open(mesh_client *client, const char *service,
                                                     const mesh_request *request, void *user, mesh_stream **out);

/* The id of the call; 0 of NULL. */
MESH_API mesh_call_id mesh_stream_id(const mesh_stream *stream);

/* Writes bytes of the request's body. MESH_OK with how many in `*written` (may be NULL): all of them, or as many as
 * could be taken in time, at least one. MESH_EAGAIN and MESH_EREENTRY: none. MESH_NO_MEMORY: `*written`, and the call
 * goes on. MESH_EINVAL after mesh_stream_end(), and where request.body is all. Another status: the call has ended,
 * `*written` before that; MESH_ESTALE if it ended with a response. */
MESH_API MESH_NODISCARD mesh_status mesh_stream_write(mesh_stream *stream, const void *bytes, size_t size,
                                                      int64_t timeout_ns, size_t *written);

/* The request's body is complete; `trailers`, copied, go behind it. Never waits. MESH_EINVAL for trailers that cannot
 * be sent, or the second time. What has been written is sent all the same. */
MESH_API mesh_status mesh_stream_end(mesh_stream *stream, const mesh_header *trailers, size_t count);

/* Waits for the response's head. Of `*head` status and header fields may be read, until mesh_stream_finish(); it has no
 * body, and nothing else yet. */
MESH_API MESH_NODISCARD mesh_status mesh_stream_head(mesh_stream *stream, int64_t timeout_ns, const mesh_result **head);

/* Reads up to `size` bytes of the response's body, at least one. MESH_OK with 0: its end, again and again. Bytes that
 * came before a failure are read before that is told. */
MESH_API MESH_NODISCARD mesh_status mesh_stream_read(mesh_stream *stream, void *space, size_t size, int64_t timeout_ns,
                                                     size_t *got);

/* gRPC: sends one message, of at most 4 GiB, whole or not at all; it is framed here and is taken as soon as less than
 * 64 KiB wait. Otherwise as mesh_stream_write(). */
MESH_API MESH_NODISCARD mesh_status mesh_stream_send(mesh_stream *stream, const void *message, size_t size,
                                                     int64_t timeout_ns);

/* gRPC: receives one message. It is valid until the next receive, and never NULL with MESH_OK, even when empty, but at
 * the end. A message longer than `max_body` ends the call with MESH_BODY_TOO_LARGE, one that is compressed or breaks
 * off with MESH_PROTOCOL. Not to be mixed with mesh_stream_read(). */
MESH_API MESH_NODISCARD mesh_status mesh_stream_receive(mesh_stream *stream, int64_t timeout_ns, const void **message,
                                                        size_t *size);

/* Asks the call to end with MESH_CANCELLED: its connection is told. Any thread; never waits. */
MESH_API void mesh_stream_cancel(mesh_stream *stream);

/* Ends the stream and gives it back: what is not complete is cancelled. `*out` (may be NULL) is the call's result, the
 * caller's to free, with status, headers, trailers and attempts, but no body; what it ended with is returned. A
 * response is complete once mesh_stream_read() or mesh_stream_receive() has told the end. Where this would have to wait
 * for another thread and must not (external mode, inside a loop's turn), the result of a call that has not ended says
 * MESH_CANCELLED and no more. No other function of the stream runs meanwhile or comes after. */
MESH_API mesh_status mesh_stream_finish(mesh_stream *stream, mesh_result **out);

/* What mesh_call_stream() asks for and tells, on the thread that called it, with nothing held. Each may be NULL; they
 * may call the client. */
typedef struct mesh_stream_io {
    uint32_t size;
    uint32_t reserved; /* 0 */
    void *user;

    /* Puts up to `size` bytes of the request's body, of gRPC with the frames, into `space`. Returns how many; 0: it is
     * complete; below 0: the call is given up. NULL: request.body is all. */
    int64_t (*produce)(void *user, void *space, size_t size);

    /* The response's head; as mesh_stream_head(). Returns 0, or anything else to give the call up. */
    int32_t (*head)(void *user, const mesh_result *head);

    /* Bytes of the response's body, as they come. Returns as `head` does. NULL: they are read and forgotten. */
    int32_t (*consume)(void *user, const void *bytes, size_t size);
} mesh_stream_io;

#define MESH_STREAM_IO_INIT                                                                                            \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_stream_io), 0, NULL, NULL, NULL, NULL                                                    \
    }

/* Does what MESH_STREAM_IO_INIT does. */
MESH_API void mesh_stream_io_init(mesh_stream_io *io);

/* Makes a call with bodies in pieces and waits for its end: the request is produced while the response is consumed.
 * `*out` is set in every case, as by mesh_call(), and has no body. MESH_CANCELLED when a callback gave the call up;
 * MESH_EREENTRY in external mode and inside a loop's turn. */
MESH_API mesh_status mesh_call_stream(mesh_client *client, const char *service, const mesh_request *request,
                                      const mesh_stream_io *io, mesh_result **out);

#ifdef __cplusplus
}
#endif
#endif
