/* SPDX-License-Identifier: Apache-2.0 */
/* http1_check.h - is what an application wants to send fit to be sent? The grammar of RFC 9110 and 9112. Pure. */
#ifndef MESH__WIRE_HTTP1_CHECK_H
#define MESH__WIRE_HTTP1_CHECK_H

#include "base/view.h"

#include <mesh/base.h>

/* A byte of a token: a letter, a digit or one of !#$%&'*+-.^_`|~ */
bool mesh__http1_tchar(char c);

/* 1*tchar: methods and field names. */
bool mesh__http1_token(struct view text);

/* A field value: no CR, LF, NUL or other control byte but tab; no space or tab at either end. Empty is fine. */
bool mesh__http1_value(struct view text);

/* As a field value, but any spaces and tabs: reason phrases. */
bool mesh__http1_text(struct view text);

/* Origin form: "/" and visible ASCII without '#' and spaces; or "*". */
bool mesh__http1_path(struct view text);

/* Host as a field: visible ASCII without '/', '@', '?', '#', '\\' and spaces; not empty. */
bool mesh__http1_authority(struct view text);

/* Fields that this library writes itself and an application must not: Host, Connection, Content-Length, Keep-Alive,
 * Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade, Expect. Any case. */
bool mesh__http1_reserved_field(struct view name);

/* NULL when the fields may be sent; else static words that say what is wrong with field `*at`. */
const char *mesh__http1_check_fields(const mesh_header *headers, size_t count, size_t *at);

#endif
