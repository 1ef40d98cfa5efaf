/* SPDX-License-Identifier: Apache-2.0 */
/* api_grpc.c - the exported functions that know gRPC and no call. */
#include "wire/grpc.h"

/* A buffer over memory that is large enough for all that will be appended, and a NUL. */
static struct buf over(void *memory, size_t size)
{
    return (struct buf){ .data = memory, .capacity = size + 1, .cap = size };
}

const char *mesh_grpc_status_name(int32_t status)
{
    return mesh__grpc_status_name(status);
}

size_t mesh_grpc_binary_encode(const void *bytes, size_t size, char *out)
{
    struct buf text = over(out, MESH_GRPC_ENCODED_SIZE(size) - 1);
    (void)mesh__grpc_binary_encode(&text, mesh__view(bytes, size));
    (void)mesh__buf_text(&text);
    return text.size;
}

mesh_status mesh_grpc_binary_decode(const char *text, size_t size, void *out, size_t *out_size)
{
    if (text == NULL || out == NULL || out_size == NULL)
        return MESH_EINVAL;
    struct buf bytes = over(out, size);
    bool ok = mesh__grpc_binary_decode(&bytes, mesh__view(text, size));
    *out_size = ok ? bytes.size : 0;
    return ok ? MESH_OK : MESH_EINVAL;
}
