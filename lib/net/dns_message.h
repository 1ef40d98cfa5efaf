/* SPDX-License-Identifier: Apache-2.0 */
/* dns_message.h - what an answer to an A or AAAA question says (RFC 1035, 2181, 2308, 3596). No I/O; hostile bytes are
 * expected: nothing outside of the message is read, and the work is bounded by its size. */
#ifndef MESH__NET_DNS_MESSAGE_H
#define MESH__NET_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_CHAIN_MAX 16 /* CNAMEs followed for one answer */

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5
};

enum dns_kind {
    DNS_KIND_ADDRESSES, /* at least one */
    DNS_KIND_EMPTY,     /* the name exists and has no such record */
    DNS_KIND_NO_NAME,   /* the name does not exist */
    DNS_KIND_FAILED,    /* the server says that it could not or would not answer */
    DNS_KIND_MALFORMED  /* the bytes are no answer; `problem` says why */
};

struct dns_reply {
    enum dns_kind kind;
    uint8_t rcode;
    uint32_t ttl_s;      /* the least of all records used, CNAMEs included; what the SOA allows for EMPTY and NO_NAME */
    const char *problem; /* static */
};

/* Reads the answer to a question for `family` (AF_INET or AF_INET6). `add` gets each address, 4 or 16 bytes in network
 * order; when it returns false the reply is MALFORMED. */
struct dns_reply mesh__dns_message_read(const uint8_t *bytes, size_t size, int family,
                                        bool (*add)(void *user, const uint8_t *ip), void *user);

/* "SERVFAIL"; "error N" for a number without a name uses `space`. */
const char *mesh__dns_rcode_name(unsigned rcode, char space[static 16]);

#endif
