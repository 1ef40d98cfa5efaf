/* SPDX-License-Identifier: Apache-2.0 */
/* handshaker.h - threads that do what takes milliseconds in a TLS handshake, so that no loop has to.
 *
 * A job is worked at on one of the threads, with that thread's bench, and then sent back to its loop; posted again, it
 * is worked at by the same thread, since what was made on a bench is the business of that bench's thread alone. Without
 * threads (a desk of its own bench) it is worked at on the loop, as a task. */
#ifndef MESH__NET_HANDSHAKER_H
#define MESH__NET_HANDSHAKER_H

#include "net/loop.h"
#include "tls/tls.h"

struct handshaker;
struct handshake_thread;

/* Embedded; zero-initialised but for `work` and `back`. */
struct handshake_job {
    struct list link;
    struct loop *loop;
    struct loop_mail mail;
    struct loop_task task;
    struct tls_desk *desk;
    struct handshake_thread *thread; /* whose job it is; NULL before the first time */
    void (*work)(struct handshake_job *, struct tls_bench *);
    void (*back)(struct handshake_job *); /* on the loop */
};

/* Where a loop has its handshakes done. */
struct tls_desk {
    struct loop *loop;
    struct handshaker *threads; /* NULL: on the loop, with `bench` */
    struct tls_bench *bench;    /* made at its first use */
};

/* `count` threads, started at the first job. NULL when memory is out. */
struct handshaker *mesh__handshaker_new(const struct mem *, uint32_t count);

/* Joins the threads once what they are at is done; jobs that wait come back unworked. Loops still live. */
void mesh__handshaker_stop(struct handshaker *);
void mesh__handshaker_free(struct handshaker *); /* stopped, or never used; NULL is legal */

void mesh__tls_desk_init(struct tls_desk *, struct loop *, struct handshaker *or_null);

/* How many jobs can be worked at at once. */
uint32_t mesh__tls_desk_width(const struct tls_desk *);

/* Runs what has come back, after mesh__handshaker_stop(), and gives the bench back. */
void mesh__tls_desk_fini(struct tls_desk *);

/* Never calls back from inside. False, and nothing happens, when memory is out or no thread can be had. */
bool mesh__tls_desk_post(struct tls_desk *, struct handshake_job *);

#endif
