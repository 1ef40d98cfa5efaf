/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h - gRPC over HTTP/2 (PROTOCOL-HTTP2.md, PROTOCOL status mapping): message frames, statuses, metadata. Pure.
 *
 * Messages are bytes; nothing here knows protobuf. grpc-timeout is read by mesh__grpc_timeout_parse() of trace.h.
 */
#ifndef MESH__WIRE_GRPC_H
#define MESH__WIRE_GRPC_H

#include "base/buf.h"
#include "base/time.h"

#include <mesh/call.h>

/* GRPC_OK and so on. */
#define GRPC_STATUS_ENUM(name, number) GRPC_##name = number,
enum grpc_status { MESH_GRPC_STATUS_MAP(GRPC_STATUS_ENUM) };
#undef GRPC_STATUS_ENUM

/* "UNAVAILABLE"; "UNKNOWN" for a number that is none. Static. */
const char *mesh__grpc_status_name(int32_t status);

/* The number of a name in upper case, or of digits; -1 when it is neither. */
int32_t mesh__grpc_status_find(struct view text);

/* A grpc-status field: digits; one above 16 is UNKNOWN; -1 when malformed. */
int32_t mesh__grpc_status_parse(struct view text);

/* What a response without grpc-status means, by its HTTP status, by the code of RST_STREAM (RFC 9113 7), or by why our
 * own call failed. Never GRPC_OK. */
enum grpc_status mesh__grpc_from_http(int32_t http_status);
enum grpc_status mesh__grpc_from_http2(uint32_t code);
enum grpc_status mesh__grpc_from_mesh(mesh_status status);

/* "application/grpc", also with "+proto" or ";..." behind it. */
bool mesh__grpc_content_type(struct view value);

/* How a call ended, from its trailers, or from the head of a response that has nothing else (trailers-only). */
struct grpc_outcome {
    enum grpc_status status;
    struct view message; /* as it came, percent-encoded; empty: none */
    bool said;           /* grpc-status was there and well-formed */
    bool pushback;       /* grpc-retry-pushback-ms was there */
    mesh_nanos delay;    /* of the push-back; -1: do not retry */
};
void mesh__grpc_outcome(int32_t http_status, const mesh_header *headers, size_t count, struct grpc_outcome *out);

#define GRPC_FRAME_HEAD 5

/* The five bytes before a message that is not compressed. */
void mesh__grpc_frame_head(uint32_t size, char out[GRPC_FRAME_HEAD]);

/* Takes messages out of the bytes of a body, which come in any pieces; keeps nothing but the five bytes. */
struct grpc_decoder {
    uint32_t max_message;
    bool encoded; /* grpc-encoding named something: a compressed message is then UNIMPLEMENTED, else INTERNAL */
    enum { GRPC_AT_HEAD, GRPC_AT_BYTES, GRPC_AT_FAULT } state;
    unsigned char head[GRPC_FRAME_HEAD];
    uint32_t head_size;
    uint32_t left; /* of the message */
    enum grpc_status status;
    const char *reason;
};

enum grpc_event {
    GRPC_MORE,   /* all bytes were taken */
    GRPC_BEGIN,  /* a message of decoder.left bytes begins */
    GRPC_BYTES,  /* `bytes` of it */
    GRPC_END,    /* it is whole */
    GRPC_FAILED, /* decoder.status and .reason; the stream is to be reset. Said again for ever */
};

struct grpc_step {
    enum grpc_event event;
    size_t used;
    struct view bytes;
};

void mesh__grpc_decoder_init(struct grpc_decoder *decoder, uint32_t max_message);

/* The next event in these bytes, of which `used` are done with; called with the rest until it says GRPC_MORE. */
struct grpc_step mesh__grpc_decode(struct grpc_decoder *decoder, const char *bytes, size_t size);

/* Fails it with words of the caller's, who found something wrong with the messages. */
struct grpc_step mesh__grpc_fail(struct grpc_decoder *decoder, enum grpc_status status, const char *reason);

/* True between messages: a body may end here. */
bool mesh__grpc_between(const struct grpc_decoder *decoder);

/* grpc-message: appends the text with all but printable ASCII, and '%', percent-encoded. False: cap or memory. */
bool mesh__grpc_message_encode(struct buf *out, struct view text);

/* The inverse; an escape that is none stays as it is. */
bool mesh__grpc_message_decode(struct buf *out, struct view text);

/* grpc-timeout: 1 to 8 digits and a unit, rounded down; returns the size. A negative timeout is 0. */
size_t mesh__grpc_timeout_format(mesh_nanos timeout, char out[12]);

/* grpc-retry-pushback-ms: how long to wait before the next attempt; -1, for a negative number or anything that is no
 * number: there shall be none. */
mesh_nanos mesh__grpc_pushback_parse(struct view text);

/* grpc-previous-rpc-attempts; -1 when malformed. */
int32_t mesh__grpc_attempts_parse(struct view text);

/* True for the name of binary metadata: "...-bin". */
bool mesh__grpc_binary_name(struct view name);

/* Binary metadata: base64, written without padding, read with or without it. False: malformed, the cap, or memory;
 * then `out` may have more bytes than before. */
bool mesh__grpc_binary_encode(struct buf *out, struct view bytes);
bool mesh__grpc_binary_decode(struct buf *out, struct view text);

#endif
