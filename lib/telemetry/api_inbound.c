/* SPDX-License-Identifier: Apache-2.0 */
/* api_inbound.c - the exported functions of an inbound context. */
#include "net/world.h"
#include "telemetry/inbound.h"

mesh_status mesh_inbound_parse(const mesh_header *headers, size_t header_count, mesh_inbound **out)
{
    if (out == NULL || (headers == NULL && header_count > 0))
        return MESH_EINVAL;
    *out = NULL;
    mesh_inbound *inbound = mesh__zalloc(&mesh__mem_system, sizeof(*inbound));
    if (inbound == NULL)
        return MESH_NO_MEMORY;
    mesh_nanos now = mesh__world_real.now(&mesh__world_real);
    if (!mesh__inbound_init(inbound, &mesh__mem_system, headers, header_count, now)) {
        mesh__mem_free(&mesh__mem_system, inbound);
        return MESH_NO_MEMORY;
    }
    *out = inbound;
    return MESH_OK;
}

int64_t mesh_inbound_remaining_ns(const mesh_inbound *inbound)
{
    if (inbound == NULL || inbound->deadline == NANOS_NEVER)
        return -1;
    mesh_nanos now = mesh__world_real.now(&mesh__world_real);
    return mesh__nanos_max(0, mesh__nanos_sub(inbound->deadline, now));
}

void mesh_inbound_free(mesh_inbound *inbound)
{
    if (inbound == NULL || inbound->borrowed)
        return;
    mesh__inbound_fini(inbound);
    mesh__mem_free(&mesh__mem_system, inbound);
}
