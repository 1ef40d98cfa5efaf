/* SPDX-License-Identifier: Apache-2.0 */
/* access.h - a server's policy, asked about each request on the loop; what it decides is logged and audited. */
#ifndef MESH__SERVER_ACCESS_H
#define MESH__SERVER_ACCESS_H

#include "server/exchange.h"

/* What a request that is denied is answered with, beside 403. */
#define ACCESS_DENIED_TEXT "denied by policy\n"

/* Judges the exchange, whose head has come, and says in `denied` whether it is denied. False when memory is out. */
bool mesh__access_judge(const mesh_exchange *, bool *denied);

#endif
