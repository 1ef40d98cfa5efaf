/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - a user's request: checked, copied into its call's result block, and made ready for each attempt. */
#ifndef MESH__CLIENT_REQUEST_H
#define MESH__CLIENT_REQUEST_H

#include "client/call.h"

/* Of method, path and fields together that a request may have, so that nothing is begun which cannot be sent. */
#define REQUEST_HEAD_MAX ((size_t)1024 * 1024)

/* What a head may have with the service's own fields and the caller's context. */
#define CALL_HEAD_MAX ((size_t)64 * 1024 * 1024)

/* Heads are kept with the slot for the next call, but for those that are larger than this. */
#define CALL_HEAD_KEPT ((size_t)16 * 1024)

/* Checks `request` and copies it into the call, which has its result already. MESH_EINVAL with `call->result->message`
 * saying what is wrong; MESH_NO_MEMORY. On the calling thread; `blocking` borrows the body in any case. */
mesh_status mesh__request_take(struct call *, const char *service, const mesh_request *request, bool blocking);

/* Whether the caller has set this field. */
bool mesh__request_has(const struct call *, struct view name);

/* Gives the call's exchange the request of its next attempt; `until`: when the peer is told that its time is up. */
void mesh__request_prepare(struct call *, const uint8_t span_id[8], mesh_nanos until);

#endif
