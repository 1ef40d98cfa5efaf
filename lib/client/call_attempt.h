/* SPDX-License-Identifier: Apache-2.0 */
/* call_attempt.h - what carries out the machine's effects on one attempt. Each feeds the machine what came of it. */
#ifndef MESH__CLIENT_CALL_ATTEMPT_H
#define MESH__CLIENT_CALL_ATTEMPT_H

#include "client/call.h"

/* PICK: an endpoint of the service's, taken, or why there is none. */
void mesh__attempt_pick(struct call *, uint8_t attempt);

/* START: the request's head, and an exchange with the endpoint's pool. */
void mesh__attempt_start(struct call *, uint8_t attempt);

/* The attempt under way fails, for a reason of this side's in static words, or NULL: its exchange is taken down. The
 * call may be done. */
void mesh__attempt_give_up(struct call *, mesh_status status, enum grpc_status grpc_status, const char *reason);

/* JUDGE: estimate and breaker. */
void mesh__attempt_judge(struct call *, uint8_t attempt);

/* REPORT: the record that the user will see, counters, estimate, breaker and span. */
void mesh__attempt_report(struct call *, uint8_t attempt);

/* ASK_RETRY: places and tokens for one more attempt. */
void mesh__attempt_ask_another(struct call *, uint8_t attempt);

#endif
