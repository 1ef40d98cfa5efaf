/* SPDX-License-Identifier: Apache-2.0 */
/* dns_server.h - a DNS server for tests, on 127.0.0.1 over UDP and TCP, on the very loop of what is tested.
 *
 * A test gives one function that is called for each question and writes what shall be answered, well-formed or not. */
#ifndef MESH__TESTS_DNS_SERVER_H
#define MESH__TESTS_DNS_SERVER_H

#include "base/buf.h"
#include "net/loop.h"

#include <stdint.h>

enum { DNS_TYPE_A = 1, DNS_TYPE_CNAME = 5, DNS_TYPE_SOA = 6, DNS_TYPE_TXT = 16, DNS_TYPE_AAAA = 28 };

struct dns_server;

struct dns_request {
    struct dns_server *server;
    char name[256]; /* with dots, without one at the end */
    uint16_t type, id;
    bool tcp;
    struct buf reply; /* starts empty: nothing is sent then */
    const uint8_t *bytes;
    size_t question_end; /* the question section is bytes[12] up to here */
    struct sockaddr_in from;
};

struct dns_server_options {
    struct loop *loop;
    void (*answer)(void *user, struct dns_request *);
    void *user;
};

/* NULL when the machine has no port or memory. */
struct dns_server *dns_server_start(const struct dns_server_options *);
void dns_server_stop(struct dns_server *);

const struct address *dns_server_address(const struct dns_server *);

/* Questions that came, over TCP, and in all. */
uint32_t dns_server_tcp_questions(const struct dns_server *);
uint32_t dns_server_questions(const struct dns_server *);

/* Writes a header that repeats id and question. `flags` are or-ed to 0x8180 (an answer, recursion available). */
void dns_begin(struct dns_request *, uint16_t flags);

/* Appends a record and counts it in its section (0: answer, 1: authority). An `owner` of NULL is the question's name.
 */
void dns_record(struct dns_request *, int section, const char *owner, uint16_t type, uint32_t ttl_s, const void *data,
                size_t size);
void dns_a(struct dns_request *, const char *owner, uint32_t ttl_s, const char *ip); /* an A or an AAAA */
void dns_cname(struct dns_request *, const char *owner, uint32_t ttl_s, const char *target);
void dns_soa(struct dns_request *, uint32_t ttl_s, uint32_t minimum_s); /* into the authority section */

/* A name in wire form; its size. `out` has 256 bytes. */
size_t dns_encode(const char *name, uint8_t *out);

/* Sends what `reply` holds now, once more and at once; over UDP only, from the server's socket or another one. */
void dns_send_now(struct dns_request *, bool from_another_port);

#endif
