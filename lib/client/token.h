/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - cancels any number of calls at once; sticky. */
#ifndef MESH__CLIENT_TOKEN_H
#define MESH__CLIENT_TOKEN_H

#include "client/call.h"

mesh_token *mesh__token_new(void);

/* NULL in, NULL out. */
mesh_token *mesh__token_ref(mesh_token *);
void mesh__token_unref(mesh_token *); /* NULL is legal */

/* Links a call before it is posted. False when the token is cancelled already. */
bool mesh__token_attach(mesh_token *, struct call *);
void mesh__token_detach(mesh_token *, struct call *);

void mesh__token_cancel(mesh_token *);

#endif
