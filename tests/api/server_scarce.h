/* SPDX-License-Identifier: Apache-2.0 */
/* server_scarce.h - an allocator that counts its blocks and can run out. */
#ifndef TESTS_API_SERVER_SCARCE_H
#define TESTS_API_SERVER_SCARCE_H

#include <mesh/base.h>
#include <stdatomic.h>

struct scarce {
    mesh_allocator allocator;
    atomic_long live;
    atomic_long left; /* allocations that still succeed; below 0: all do */
};

/* All succeed. */
void scarce_init(struct scarce *scarce);

#endif
