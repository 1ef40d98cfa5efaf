/* SPDX-License-Identifier: Apache-2.0 */
/* memory_end.h - the peer's end of a connection in memory, as a stream on the loop that the client's end lives on. */
#ifndef TESTS_SUPPORT_MEMORY_END_H
#define TESTS_SUPPORT_MEMORY_END_H

#include "net/memory.h"

struct memory_end;

/* For the functions of a struct memory_peer: it opens, takes what has come, and when the client has closed it is gone;
 * then it is freed, the stream being closed before. The test ends where memory is out. */
struct memory_end *memory_end_new(struct memory_connection *);
void memory_end_take(struct memory_end *, const char *bytes, size_t size);
void memory_end_gone(struct memory_end *);
void memory_end_free(struct memory_end *);

/* What takes every byte that is written; closing it ends the connection in order. */
struct stream *memory_end_stream(struct memory_end *);

/* Resets the connection: nothing that is written goes anywhere any more. */
void memory_end_cut(struct memory_end *);

#endif
