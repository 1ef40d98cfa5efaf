/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - fields.def as data: which objects and keys there are, of what kind, with what default. Pure. */
#ifndef MESH__CONFIG_FIELDS_H
#define MESH__CONFIG_FIELDS_H

#include "config/config.h"

struct cJSON;

#define OBJECT(id, pointer, title, text) OBJECT_##id,
enum object_id {
#include "config/fields.def"
    OBJECT_COUNT,
    OBJECT_NONE = OBJECT_COUNT
};

#define FIELD(object, id, key, kind, fallback, low, high, target, words, nested, flags, text) F_##object##_##id,
enum field_id {
#include "config/fields.def"
    FIELD_COUNT
};

enum field_kind {
    KIND_DURATION,           /* uint64_t of nanoseconds as a string with a unit */
    KIND_DURATION_OR_NONE,   /* or "none", which is 0 */
    KIND_SIZE,               /* bytes as a string with a unit */
    KIND_COUNT,              /* a whole number */
    KIND_COUNT_OR_UNLIMITED, /* or "unlimited", which is UINT32_MAX */
    KIND_RATIO,              /* a number; double */
    KIND_BOOL,
    KIND_WORD, /* a string out of `words` */
    KIND_TEXT, /* any string; not kept */
    KIND_OBJECT,
    KIND_NAMED,    /* an object whose members are objects of kind `nested`; the value itself is kept */
    KIND_DEFAULTS, /* an object of kind `nested` without what is FIELD_NOT_IN_DEFAULTS; the value itself is kept */
    KIND_ENDPOINTS,
    KIND_ADDRESS,
    KIND_HOST_PORT,
    KIND_PATH,
    KIND_AUTHORITY,
    KIND_HEADERS,
    KIND_RETRY_ON,
    KIND_DNS_SERVERS,
    KIND_TRUST,
    KIND_PEERS, /* patterns of SPIFFE ids */
    KIND_PEER_NAME,
    KIND_BUNDLE, /* a name out of identity.trust */
    KIND_SERVER_NAME,
    KIND_ALPN,
    KIND_AUTHORIZE, /* an object of kind `nested`, built into an access_policy of its own */
    KIND_RULES,
    KIND_RULE_NAME,
    KIND_UNLESS,
    KIND_RULE_PEERS, /* alternatives of a rule, to KIND_PORTS */
    KIND_TRUST_DOMAINS,
    KIND_NAMESPACES,
    KIND_METHODS,
    KIND_PATHS,
    KIND_RULE_HEADERS,
    KIND_PORTS,
    KIND_REFUSED, /* the feature is not built */
    KIND_COUNT_
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_NOT_IN_DEFAULTS = 2,
    FIELD_PORT_ZERO = 4,  /* of an address: port 0 is fine */
    FIELD_OF_REQUESTS = 8 /* of a rule: asks for the request, so a service, which judges connections, has no such key */
};

/* A word of a list that ends with { NULL }. */
struct word {
    const char *text;
    uint32_t value;
    bool refused; /* the feature is not built */
};

extern const struct word mesh__words_balancer[], mesh__words_protocol[], mesh__words_wait[], mesh__words_retry[];
extern const struct word mesh__words_service_tls[], mesh__words_server_tls[], mesh__words_verify[],
    mesh__words_action[];

struct field {
    enum object_id object;
    const char *key;
    enum field_kind kind;
    const char *fallback, *low, *high; /* as a document says them, without quotes; NULL: none */
    size_t offset, width;              /* of the target; width 0: nowhere */
    const struct word *words;
    enum object_id nested;
    uint32_t flags;
    const char *text; /* for people */
};

struct object {
    const char *pointer, *title, *text;
};

/* What the top of the document is read into. */
struct document_parts {
    const struct cJSON *defaults, *services, *servers; /* NULL: not there */
    struct dns_config dns;
    struct identity_config identity; /* without trust where there is none */
    uint32_t handshake_threads;
    enum wait_mode wait;
};

extern const struct field mesh__fields[FIELD_COUNT];
extern const struct object mesh__objects[OBJECT_COUNT];

/* NULL when the object has no such key. */
const struct field *mesh__field_find(enum object_id object, const char *key);

/* Whether an object can have the field there: inside of "defaults", inside of a service's rules. */
bool mesh__field_is_for(const struct field *field, bool in_defaults, bool of_connections);

/* NULL when the list has no such word. */
const struct word *mesh__word_find(const struct word *words, struct view text);

/* The word of a value. */
const char *mesh__word_of(const struct word *words, uint32_t value);

/* The value of a field of a scalar kind (DURATION to WORD, but RATIO) from the text of a string or a default. */
bool mesh__field_scalar(const struct field *field, struct view text, uint64_t *value);

/* Writes the value of a scalar kind to the field's target in `base`. */
void mesh__field_store(const struct field *field, void *base, uint64_t value);

/* Writes the defaults of an object, and of those inside of it, into `base`. */
void mesh__fields_default(enum object_id object, void *base);

#endif
