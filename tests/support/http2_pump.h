/* SPDX-License-Identifier: Apache-2.0 */
/* http2_pump.h - moves the bytes of an HTTP/2 connection through a plain socket, for tests against foreign peers. */
#ifndef TESTS_SUPPORT_HTTP2_PUMP_H
#define TESTS_SUPPORT_HTTP2_PUMP_H

#include "wire/http2.h"

enum pump { PUMP_DONE, PUMP_CLOSED, PUMP_BROKEN, PUMP_STUCK };

/* Writes and reads until `done` says so (PUMP_DONE), the peer closes, the connection breaks, or nothing has happened
 * for 20 seconds. `sends`, when not NULL, counts the calls of send(). */
enum pump http2_pump(struct http2_conn *conn, int descriptor, bool (*done)(void *user), void *user, size_t *sends);

#endif
