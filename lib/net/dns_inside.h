/* SPDX-License-Identifier: Apache-2.0 */
/* dns_inside.h - what dns.c (c-ares: single questions) and dns_query.c (names: search, both families) share. */
#ifndef MESH__NET_DNS_INSIDE_H
#define MESH__NET_DNS_INSIDE_H

#include "net/dns.h"
#include "net/read_file.h"

#define DNS_DETAIL_MAX 384

struct dns_channel;
struct dns_lookup;

struct dns {
    struct loop *loop;
    const struct mem *mem;
    struct address *servers;
    uint32_t server_count;
    int timeout_ms, tries;
    char *resolv_conf, *hosts;
    struct file_stamp resolv_conf_stamp; /* when `current` was opened */
    struct buf resolv_conf_text;         /* likewise; empty when it cannot be read */
    struct dns_channel *current;
    struct list channels; /* `current`, and older ones until their last question has ended */
    struct list queries;
};

/* How one question to the servers ended. */
struct dns_outcome {
    const uint8_t *bytes; /* a message; NULL: there was no usable one */
    size_t size;
    bool refused_by_rcode; /* no message, but the servers did answer: SERVFAIL, REFUSED, NOTIMP */
    const char *detail;    /* words on why there is no message */
    const char *peer;      /* the server concerned, as far as one can tell; "" when none was asked */
};

/* One question, embedded in who asks it. `answered` runs with c-ares on the stack: it may only note what it got. */
struct dns_question {
    int family;
    struct dns_lookup *lookup; /* NULL: not under way */
    void (*answered)(struct dns_question *, const struct dns_outcome *);
};

/* Reads resolv.conf anew if it changed. Never from inside `answered`. */
void mesh__dns_refresh(struct dns *);

/* Asks the servers for one name as it stands. `answered` may be called from inside. False when memory is out. */
bool mesh__dns_ask(struct dns *, const char *name, struct dns_question *);

/* `answered` will not be called any more. */
void mesh__dns_forget(struct dns_question *);

/* Frees the query without its callback. */
void mesh__dns_drop(struct dns_query *);

/* The query that a node of dns.queries belongs to. */
struct dns_query *mesh__dns_query_of(struct list *node);

#endif
