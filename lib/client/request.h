/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - a user's request: checked, copied into its call's result block, and written out for each attempt. */
#ifndef MESH__CLIENT_REQUEST_H
#define MESH__CLIENT_REQUEST_H

#include "client/call.h"

/* Checks `request` and copies it into the call, which has its result already. MESH_EINVAL with `call->result->message`
 * saying what is wrong; MESH_NO_MEMORY. On the calling thread; `blocking` borrows the body in any case. */
mesh_status mesh__request_take(struct call *, const char *service, const mesh_request *request, bool blocking);

/* Writes the head of the next attempt into call->head. False when memory is out. */
bool mesh__request_write_head(struct call *, const uint8_t span_id[8], mesh_nanos cut_at);

#endif
