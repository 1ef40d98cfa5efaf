/* SPDX-License-Identifier: Apache-2.0 */
/* dns_message.c - a cursor over the message that refuses to leave it; names are compared in lower-case wire form. */
#include "net/dns_message.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER_SIZE 12
#define NAME_MAX_BYTES 255u

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_AAAA = 28, CLASS_IN = 1 };

struct message {
    const uint8_t *bytes;
    size_t size;
};

/* Length-prefixed labels with the root's zero at the end, as on the wire: any byte may be part of a label. */
struct name {
    uint8_t size;
    uint8_t bytes[NAME_MAX_BYTES];
};

struct record {
    struct name owner;
    uint16_t type, class;
    uint32_t ttl_s;
    size_t data, data_size; /* inside of the message */
};

static uint16_t get16(const struct message *m, size_t at)
{
    return (uint16_t)(m->bytes[at] << 8 | m->bytes[at + 1]);
}

static uint32_t get32(const struct message *m, size_t at)
{
    return (uint32_t)get16(m, at) << 16 | get16(m, at + 2);
}

/* A time to live with the top bit set counts as 0 (RFC 2181, 8). */
static uint32_t get_ttl(const struct message *m, size_t at)
{
    uint32_t ttl = get32(m, at);
    return ttl > INT32_MAX ? 0 : ttl;
}

static bool add_label(const struct message *m, size_t at, uint8_t length, struct name *out)
{
    if (length + 1u > NAME_MAX_BYTES - out->size)
        return false;
    for (size_t i = 0; i <= length; i++) {
        uint8_t c = m->bytes[at + i];
        out->bytes[out->size++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c; /* a length is at most 63 */
    }
    return true;
}

/* Reads the name at `*at` and moves past it. A pointer must lead to before the part that it ends: no loops. */
static bool read_name(const struct message *m, size_t *at, struct name *out)
{
    size_t here = *at, part = *at;
    bool jumped = false;
    out->size = 0;
    for (;;) {
        if (here >= m->size)
            return false;
        uint8_t length = m->bytes[here];
        if ((length & 0xc0) == 0xc0) {
            if (m->size - here < 2)
                return false;
            size_t target = get16(m, here) & 0x3fffu;
            if (target >= part)
                return false;
            if (!jumped)
                *at = here + 2;
            jumped = true;
            here = part = target;
            continue;
        }
        if (length > 63 || m->size - here < length + 1u || !add_label(m, here, length, out))
            return false;
        here += length + 1u;
        if (length == 0)
            break;
    }
    if (!jumped)
        *at = here;
    return true;
}

static bool is_same_name(const struct name *a, const struct name *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static bool read_record(const struct message *m, size_t *at, struct record *out)
{
    if (!read_name(m, at, &out->owner) || m->size - *at < 10)
        return false;
    out->type = get16(m, *at);
    out->class = get16(m, *at + 2);
    out->ttl_s = get_ttl(m, *at + 4);
    out->data_size = get16(m, *at + 8);
    out->data = *at + 10;
    if (m->size - out->data < out->data_size)
        return false;
    *at = out->data + out->data_size;
    return true;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct dns_reply malformed(const char *problem)
{
    return (struct dns_reply){ .kind = DNS_KIND_MALFORMED, .problem = problem };
}

/* What the SOA of the authority section allows a negative answer to be kept (RFC 2308, 5); 0 without a usable one. */
static uint32_t negative_ttl(const struct message *m, size_t at, unsigned answers, unsigned authorities)
{
    struct record record;
    for (unsigned i = 0; i < answers + authorities; i++) {
        if (!read_record(m, &at, &record))
            return 0;
        if (i < answers || record.type != TYPE_SOA || record.class != CLASS_IN)
            continue;
        struct name skipped;
        size_t place = record.data, end = record.data + record.data_size;
        if (!read_name(m, &place, &skipped) || !read_name(m, &place, &skipped) || place > end || end - place < 20)
            return 0;
        return least(record.ttl_s, get_ttl(m, place + 16));
    }
    return 0;
}

/* Replaces `name` by what it is an alias of. 1: it was one; 0: it was none; -1: malformed. */
static int follow_alias(const struct message *m, size_t at, unsigned answers, struct name *name, uint32_t *ttl_s)
{
    struct record record;
    for (unsigned i = 0; i < answers; i++) {
        if (!read_record(m, &at, &record))
            return -1;
        if (record.type != TYPE_CNAME || record.class != CLASS_IN || !is_same_name(&record.owner, name))
            continue;
        size_t place = record.data;
        if (!read_name(m, &place, name) || place != record.data + record.data_size)
            return -1;
        *ttl_s = least(*ttl_s, record.ttl_s);
        return 1;
    }
    return 0;
}

struct wanted {
    uint16_t type;
    size_t size;
    bool (*add)(void *user, const uint8_t *ip);
    void *user;
};

/* Adds the addresses of `name`. Their number, or -1 for malformed. */
static int add_addresses(const struct message *m, size_t at, unsigned answers, const struct name *name,
                         const struct wanted *wanted, uint32_t *ttl_s)
{
    struct record record;
    int count = 0;
    for (unsigned i = 0; i < answers; i++) {
        if (!read_record(m, &at, &record))
            return -1;
        if (record.type != wanted->type || record.class != CLASS_IN || !is_same_name(&record.owner, name))
            continue;
        if (record.data_size != wanted->size || !wanted->add(wanted->user, m->bytes + record.data))
            return -1;
        *ttl_s = least(*ttl_s, record.ttl_s);
        count++;
    }
    return count;
}

static struct dns_reply read_answers(const struct message *m, size_t at, struct name *name, const struct wanted *wanted)
{
    unsigned answers = get16(m, 6), authorities = get16(m, 8);
    uint32_t ttl_s = INT32_MAX;
    int aliases = 0, more;
    while ((more = follow_alias(m, at, answers, name, &ttl_s)) > 0)
        if (++aliases > DNS_CHAIN_MAX)
            return malformed("a loop, or too long a chain, of CNAMEs");
    int count = more < 0 ? -1 : add_addresses(m, at, answers, name, wanted, &ttl_s);
    if (count < 0)
        return malformed("a malformed answer");
    if (count == 0)
        return (struct dns_reply){ .kind = DNS_KIND_EMPTY, .ttl_s = negative_ttl(m, at, answers, authorities) };
    return (struct dns_reply){ .kind = DNS_KIND_ADDRESSES, .ttl_s = ttl_s };
}

struct dns_reply mesh__dns_message_read(const uint8_t *bytes, size_t size, int family,
                                        bool (*add)(void *user, const uint8_t *ip), void *user)
{
    struct message m = { bytes, size };
    if (size < HEADER_SIZE || (bytes[2] & 0x80) == 0)
        return malformed("a message that is no answer");
    struct name name;
    size_t at = HEADER_SIZE;
    if (get16(&m, 4) != 1 || !read_name(&m, &at, &name) || m.size - at < 4)
        return malformed("an answer without its question");
    at += 4;
    uint8_t rcode = bytes[3] & 0x0f;
    if (rcode == DNS_NXDOMAIN)
        return (struct dns_reply){ .kind = DNS_KIND_NO_NAME,
                                   .rcode = rcode,
                                   .ttl_s = negative_ttl(&m, at, get16(&m, 6), get16(&m, 8)) };
    if (rcode != DNS_NOERROR)
        return (struct dns_reply){ .kind = DNS_KIND_FAILED, .rcode = rcode };
    struct wanted wanted = { TYPE_A, sizeof(struct in_addr), add, user };
    if (family == AF_INET6) {
        wanted.type = TYPE_AAAA;
        wanted.size = sizeof(struct in6_addr);
    }
    return read_answers(&m, at, &name, &wanted);
}

const char *mesh__dns_rcode_name(unsigned rcode, char space[static 16])
{
    static const char *const names[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED" };
    if (rcode < sizeof(names) / sizeof(names[0]))
        return names[rcode];
    (void)snprintf(space, 16, "error %u", rcode & 0xffff);
    return space;
}
