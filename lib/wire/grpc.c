/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.c - statuses from whatever ended a call, and messages out of a body. */
#include "wire/grpc.h"

#include "base/status.h"

#define COMPRESSED 1

static const char *const names[] = {
#define NAME(name, number) [number] = #name,
    MESH_GRPC_STATUS_MAP(NAME)
#undef NAME
};
#define NAMES ((int32_t)(sizeof names / sizeof *names))

const char *mesh__grpc_status_name(int32_t status)
{
    return status >= 0 && status < NAMES ? names[status] : names[GRPC_UNKNOWN];
}

int32_t mesh__grpc_status_find(struct view text)
{
    for (int32_t i = 0; i < NAMES; i++)
        if (mesh__view_equal(text, mesh__view_of(names[i])))
            return i;
    int32_t number = mesh__grpc_attempts_parse(text);
    return number < NAMES ? number : -1;
}

int32_t mesh__grpc_status_parse(struct view text)
{
    int32_t number = mesh__grpc_attempts_parse(text);
    return number < NAMES ? number : GRPC_UNKNOWN;
}

enum grpc_status mesh__grpc_from_http(int32_t http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_status mesh__grpc_from_http2(uint32_t code)
{
    switch (code) {
    case 0x7: /* REFUSED_STREAM */
        return GRPC_UNAVAILABLE;
    case 0x8: /* CANCEL */
        return GRPC_CANCELLED;
    case 0xb: /* ENHANCE_YOUR_CALM */
        return GRPC_RESOURCE_EXHAUSTED;
    case 0xc: /* INADEQUATE_SECURITY */
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

enum grpc_status mesh__grpc_from_mesh(mesh_status status)
{
    const struct status_row *row = mesh__status_row(status);
    switch (row != NULL ? row->category : MESH_CATEGORY_INTERNAL) {
    case MESH_CATEGORY_CANCELLED:
        return GRPC_CANCELLED;
    case MESH_CATEGORY_DEADLINE:
        return GRPC_DEADLINE_EXCEEDED;
    case MESH_CATEGORY_LIMIT:
    case MESH_CATEGORY_RESOURCE:
        return GRPC_RESOURCE_EXHAUSTED;
    case MESH_CATEGORY_NO_ENDPOINT:
    case MESH_CATEGORY_OVERLOADED:
    case MESH_CATEGORY_CONNECT:
    case MESH_CATEGORY_RESET:
    case MESH_CATEGORY_TLS:
        return GRPC_UNAVAILABLE;
    case MESH_CATEGORY_DENIED:
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

bool mesh__grpc_content_type(struct view value)
{
    static const struct view type = { "application/grpc", 16 };
    if (value.size < type.size || !mesh__view_equal_nocase(mesh__view(value.data, type.size), type))
        return false;
    return value.size == type.size || value.data[type.size] == '+' || value.data[type.size] == ';' ||
           value.data[type.size] == ' ';
}

void mesh__grpc_outcome(int32_t http_status, const mesh_header *headers, size_t count, struct grpc_outcome *out)
{
    *out = (struct grpc_outcome){ .status = http_status == 200 ? GRPC_UNKNOWN : mesh__grpc_from_http(http_status) };
    for (size_t i = 0; i < count; i++) {
        struct view name = mesh__view(headers[i].name, headers[i].name_size);
        struct view value = mesh__view(headers[i].value, headers[i].value_size);
        if (!out->said && mesh__view_equal_nocase(name, VIEW_LITERAL("grpc-status"))) {
            int32_t status = mesh__grpc_status_parse(value);
            out->said = status >= 0;
            out->status = status >= 0 ? (enum grpc_status)status : GRPC_UNKNOWN;
        } else if (mesh__view_equal_nocase(name, VIEW_LITERAL("grpc-message"))) {
            out->message = value;
        } else if (mesh__view_equal_nocase(name, VIEW_LITERAL("grpc-retry-pushback-ms"))) {
            /* Said twice it says nothing that can be obeyed. */
            out->delay = out->pushback ? -1 : mesh__grpc_pushback_parse(value);
            out->pushback = true;
        }
    }
}

void mesh__grpc_frame_head(uint32_t size, char out[GRPC_FRAME_HEAD])
{
    out[0] = 0;
    out[1] = (char)(size >> 24);
    out[2] = (char)(size >> 16);
    out[3] = (char)(size >> 8);
    out[4] = (char)size;
}

void mesh__grpc_decoder_init(struct grpc_decoder *decoder, uint32_t max_message)
{
    *decoder = (struct grpc_decoder){ .max_message = max_message };
}

static struct grpc_step fault(struct grpc_decoder *decoder, enum grpc_status status, const char *reason, size_t used)
{
    decoder->state = GRPC_AT_FAULT;
    decoder->status = status;
    decoder->reason = reason;
    return (struct grpc_step){ GRPC_FAILED, used, { NULL, 0 } };
}

static struct grpc_step begin(struct grpc_decoder *decoder, size_t used)
{
    const unsigned char *head = decoder->head;
    decoder->left = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
    if (head[0] > COMPRESSED)
        return fault(decoder, GRPC_INTERNAL, "a message flag that is neither 0 nor 1", used);
    if (head[0] == COMPRESSED && decoder->encoded)
        return fault(decoder, GRPC_UNIMPLEMENTED, "a compressed message, which is not understood", used);
    if (head[0] == COMPRESSED)
        return fault(decoder, GRPC_INTERNAL, "a compressed message without grpc-encoding", used);
    if (decoder->left > decoder->max_message)
        return fault(decoder, GRPC_RESOURCE_EXHAUSTED, "a message beyond the limit", used);
    decoder->head_size = 0;
    decoder->state = GRPC_AT_BYTES;
    return (struct grpc_step){ GRPC_BEGIN, used, { NULL, 0 } };
}

struct grpc_step mesh__grpc_decode(struct grpc_decoder *decoder, const char *bytes, size_t size)
{
    if (decoder->state == GRPC_AT_FAULT)
        return (struct grpc_step){ GRPC_FAILED, 0, { NULL, 0 } };
    if (decoder->state == GRPC_AT_BYTES && decoder->left == 0) {
        decoder->state = GRPC_AT_HEAD;
        return (struct grpc_step){ GRPC_END, 0, { NULL, 0 } };
    }
    if (decoder->state == GRPC_AT_BYTES) {
        size_t part = size < decoder->left ? size : decoder->left;
        decoder->left -= (uint32_t)part;
        return (struct grpc_step){ part > 0 ? GRPC_BYTES : GRPC_MORE, part, { bytes, part } };
    }
    size_t used = 0;
    while (used < size && decoder->head_size < GRPC_FRAME_HEAD)
        decoder->head[decoder->head_size++] = (unsigned char)bytes[used++];
    if (decoder->head_size == GRPC_FRAME_HEAD)
        return begin(decoder, used);
    return (struct grpc_step){ GRPC_MORE, used, { NULL, 0 } };
}

struct grpc_step mesh__grpc_fail(struct grpc_decoder *decoder, enum grpc_status status, const char *reason)
{
    return fault(decoder, status, reason, 0);
}

bool mesh__grpc_between(const struct grpc_decoder *decoder)
{
    return decoder->state == GRPC_AT_HEAD && decoder->head_size == 0;
}
