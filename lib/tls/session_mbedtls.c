/* SPDX-License-Identifier: Apache-2.0 */
/* session_mbedtls.c - sessions that are resumed: the client's cache of a spec, the server's tickets and session ids.
 *
 * With each session goes the record of what was verified when it began: the leaf and the dates of its chain. It is
 * judged again before the session is offered or accepted, so a session opens no door that a handshake would not. The
 * record is ours because a TLS 1.3 session of mbedTLS knows no certificate. */
#include "tls/tls_mbedtls.h"

#include <mbedtls/chachapoly.h>

#define SESSIONS_MAX 256
#define SESSION_MAX 16384    /* bytes of a session that is kept */
#define TICKET_LIFETIME 3600 /* seconds; also how long a key makes new tickets */

/* The session without the peer's certificate, which the record has. */
static int save(const mbedtls_ssl_session *session, unsigned char *bytes, size_t room, size_t *size)
{
    mbedtls_ssl_session bare = *session;
    bare.peer_cert = NULL;
    return mbedtls_ssl_session_save(&bare, bytes, room, size);
}

/* ---- the client's cache ---- */

void mesh__tls_sessions_init(struct tls_sessions *sessions)
{
    (void)pthread_mutex_init(&sessions->mutex, NULL);
}

static void entry_free(struct tls_session_entry *entry, const struct mem *mem)
{
    if (entry == NULL)
        return;
    explicit_bzero(entry->bytes, entry->size);
    mesh__mem_free(mem, entry);
}

void mesh__tls_sessions_fini(struct tls_sessions *sessions, const struct mem *mem)
{
    while (sessions->first != NULL) {
        struct tls_session_entry *entry = sessions->first;
        sessions->first = entry->next;
        entry_free(entry, mem);
    }
    (void)pthread_mutex_destroy(&sessions->mutex);
}

/* Takes the entry of a peer out; NULL when there is none. */
static struct tls_session_entry *take(struct tls_sessions *sessions, const char *peer)
{
    for (struct tls_session_entry **at = &sessions->first; *at != NULL; at = &(*at)->next) {
        struct tls_session_entry *entry = *at;
        if (strcmp(entry->peer, peer) != 0)
            continue;
        *at = entry->next;
        sessions->count--;
        return entry;
    }
    return NULL;
}

/* Puts an entry first; gives the one that it replaces or that no longer fits. */
static struct tls_session_entry *put(struct tls_sessions *sessions, struct tls_session_entry *entry)
{
    struct tls_session_entry *old = take(sessions, entry->peer);
    entry->next = sessions->first;
    sessions->first = entry;
    if (++sessions->count <= SESSIONS_MAX)
        return old;
    struct tls_session_entry **last = &sessions->first;
    while ((*last)->next != NULL)
        last = &(*last)->next;
    old = *last;
    *last = NULL;
    sessions->count--;
    return old;
}

/* An entry in one block: itself, the session, the leaf, the peer. */
static struct tls_session_entry *entry_new(const struct mem *mem, size_t size, const struct tls_record *record,
                                           const char *peer)
{
    size_t leaf = record->leaf.size, name = strlen(peer) + 1;
    struct tls_session_entry *entry = mesh__zalloc(mem, sizeof(*entry) + size + leaf + name);
    if (entry == NULL)
        return NULL;
    entry->bytes = (unsigned char *)(entry + 1);
    entry->size = size;
    entry->record = *record;
    if (leaf > 0)
        memcpy(entry->bytes + size, record->leaf.data, leaf);
    entry->record.leaf.data = (const char *)entry->bytes + size;
    entry->peer = (char *)entry->bytes + size + leaf;
    memcpy(entry->peer, peer, name);
    return entry;
}

static void load(struct tls_connection *connection, const struct tls_session_entry *entry)
{
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    if (mesh__tls_judge_record(connection, &entry->record) &&
        mbedtls_ssl_session_load(&session, entry->bytes, entry->size) == 0)
        connection->offered = mbedtls_ssl_set_session(&connection->ssl, &session) == 0;
    mbedtls_ssl_session_free(&session);
}

void mesh__tls_session_offer(struct tls_connection *connection)
{
    struct tls_spec *spec = connection->setup->spec;
    if (connection->peer == NULL || spec->side != TLS_CLIENT)
        return;
    /* Out of the cache while it is read: another thread may replace it meanwhile. */
    pthread_mutex_lock(&spec->sessions.mutex);
    struct tls_session_entry *entry = take(&spec->sessions, connection->peer);
    pthread_mutex_unlock(&spec->sessions.mutex);
    if (entry == NULL)
        return;
    load(connection, entry);
    if (connection->offered) {
        pthread_mutex_lock(&spec->sessions.mutex);
        entry = put(&spec->sessions, entry);
        pthread_mutex_unlock(&spec->sessions.mutex);
    }
    entry_free(entry, &spec->mem);
}

void mesh__tls_session_keep(struct tls_connection *connection)
{
    struct tls_spec *spec = connection->setup->spec;
    const mbedtls_ssl_session *session = connection->ssl.session;
    const struct tls_record *record = &connection->verdict.record;
    if (connection->peer == NULL || spec->side != TLS_CLIENT || session == NULL || connection->verdict.leaf == NULL)
        return;
    if (session->ticket_len == 0 && session->id_len == 0)
        return;
    size_t size = 0;
    (void)save(session, NULL, 0, &size);
    if (size == 0 || size > SESSION_MAX)
        return;
    struct tls_session_entry *entry = entry_new(&spec->mem, size, record, connection->peer);
    if (entry == NULL)
        return;
    if (save(session, entry->bytes, size, &size) == 0) {
        pthread_mutex_lock(&spec->sessions.mutex);
        entry = put(&spec->sessions, entry);
        pthread_mutex_unlock(&spec->sessions.mutex);
    }
    entry_free(entry, &spec->mem);
}

void mesh__tls_session_forget(struct tls_connection *connection)
{
    struct tls_spec *spec = connection->setup->spec;
    if (connection->peer == NULL || spec->side != TLS_CLIENT)
        return;
    pthread_mutex_lock(&spec->sessions.mutex);
    struct tls_session_entry *entry = take(&spec->sessions, connection->peer);
    pthread_mutex_unlock(&spec->sessions.mutex);
    entry_free(entry, &spec->mem);
}

/* ---- the server's tickets ----
 *
 * name of the key, 16 bytes | nonce, 12 | encrypted: struct ticket_head, leaf, mbedTLS's session | tag, 16 */

struct ticket_head {
    int64_t issued, not_before, not_after; /* Unix seconds; a ticket is read by the process that wrote it */
    uint64_t leaf;                         /* bytes */
};

#define TICKET_NAME 16
#define TICKET_FRONT (TICKET_NAME + 12)
#define TICKET_TAG 16

void mesh__tls_tickets_init(struct tls_ticket_keys *tickets)
{
    (void)pthread_mutex_init(&tickets->mutex, NULL);
}

void mesh__tls_tickets_fini(struct tls_ticket_keys *tickets)
{
    explicit_bzero(tickets->keys, sizeof(tickets->keys));
    (void)pthread_mutex_destroy(&tickets->mutex);
}

/* Whether a key still opens tickets: none is older than their lifetime, and none was made after the key's own. */
static bool key_opens(const struct tls_ticket_key *key, int64_t now)
{
    return key->live && now >= key->born && now - key->born < 2 * (int64_t)TICKET_LIFETIME;
}

/* A copy of the key for new tickets; a new one in place of the older after an hour. */
static bool sealing_key(struct tls_ticket_keys *tickets, int64_t now, struct tls_ticket_key *out)
{
    pthread_mutex_lock(&tickets->mutex);
    struct tls_ticket_key *key = &tickets->keys[tickets->active];
    bool ok = true;
    if (!key->live || now < key->born || now - key->born >= TICKET_LIFETIME) {
        tickets->active = !tickets->active;
        key = &tickets->keys[tickets->active];
        ok = mesh__tls_random(NULL, key->name, sizeof(key->name)) == 0 &&
             mesh__tls_random(NULL, key->key, sizeof(key->key)) == 0;
        key->born = now;
        key->live = ok;
    }
    *out = *key;
    pthread_mutex_unlock(&tickets->mutex);
    return ok;
}

static bool opening_key(struct tls_ticket_keys *tickets, int64_t now, const unsigned char *name,
                        struct tls_ticket_key *out)
{
    bool found = false;
    pthread_mutex_lock(&tickets->mutex);
    for (int i = 0; i < 2 && !found; i++) {
        const struct tls_ticket_key *key = &tickets->keys[i];
        found = key_opens(key, now) && memcmp(key->name, name, TICKET_NAME) == 0;
        if (found)
            *out = *key;
    }
    pthread_mutex_unlock(&tickets->mutex);
    return found;
}

/* Encrypts in place what lies behind the front, puts the front before it and the tag behind it. */
static bool seal(const struct tls_ticket_key *key, unsigned char *start, size_t size)
{
    mbedtls_chachapoly_context cipher;
    unsigned char *nonce = start + TICKET_NAME, *body = start + TICKET_FRONT;
    memcpy(start, key->name, TICKET_NAME);
    if (mesh__tls_random(NULL, nonce, 12) != 0)
        return false;
    mbedtls_chachapoly_init(&cipher);
    bool ok =
        mbedtls_chachapoly_setkey(&cipher, key->key) == 0 &&
        mbedtls_chachapoly_encrypt_and_tag(&cipher, size, nonce, start, TICKET_FRONT, body, body, body + size) == 0;
    mbedtls_chachapoly_free(&cipher);
    return ok;
}

static bool unseal(const struct tls_ticket_key *key, unsigned char *bytes, size_t size)
{
    mbedtls_chachapoly_context cipher;
    unsigned char *body = bytes + TICKET_FRONT;
    size_t inside = size - TICKET_FRONT - TICKET_TAG;
    mbedtls_chachapoly_init(&cipher);
    bool ok = mbedtls_chachapoly_setkey(&cipher, key->key) == 0 &&
              mbedtls_chachapoly_auth_decrypt(&cipher, inside, bytes + TICKET_NAME, bytes, TICKET_FRONT, body + inside,
                                              body, body) == 0;
    mbedtls_chachapoly_free(&cipher);
    return ok;
}

/* The ticket of the current connection's session; 0 when it has none or it does not fit. */
static size_t write_ticket(struct tls_setup *setup, const mbedtls_ssl_session *session, unsigned char *start,
                           size_t room)
{
    const struct tls_connection *connection = setup->current;
    const struct tls_record *record = &connection->verdict.record;
    int64_t now = connection->now / 1000000000;
    struct ticket_head head = { now, record->not_before, record->not_after, record->leaf.size };
    size_t front = TICKET_FRONT + sizeof(head) + record->leaf.size, saved = 0;
    struct tls_ticket_key key;
    if ((setup->spec->settings.with_certificate && connection->verdict.leaf == NULL) || room < front + TICKET_TAG)
        return 0;
    memcpy(start + TICKET_FRONT, &head, sizeof(head));
    if (record->leaf.size > 0)
        memcpy(start + TICKET_FRONT + sizeof(head), record->leaf.data, record->leaf.size);
    if (save(session, start + front, room - front - TICKET_TAG, &saved) != 0 ||
        !sealing_key(&setup->spec->tickets, now, &key))
        return 0;
    bool ok = seal(&key, start, sizeof(head) + record->leaf.size + saved);
    explicit_bzero(&key, sizeof(key));
    return ok ? front + saved + TICKET_TAG : 0;
}

/* An error here would end a TLS 1.3 handshake: a session that cannot be kept has a ticket that opens nothing. */
int mesh__tls_ticket_write(void *setup, const mbedtls_ssl_session *session, unsigned char *start,
                           const unsigned char *end, size_t *size, uint32_t *lifetime)
{
    size_t room = (size_t)(end - start);
    size_t written = write_ticket(setup, session, start, room);
    if (written == 0 && room < TICKET_NAME)
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    if (written == 0)
        memset(start, 0, TICKET_NAME);
    *size = written > 0 ? written : TICKET_NAME;
    *lifetime = written > 0 ? TICKET_LIFETIME : 1;
    return 0;
}

/* The decrypted inside of a ticket: loads the session when its peer would be accepted now. */
static bool accept_ticket(struct tls_setup *setup, mbedtls_ssl_session *session, const unsigned char *inside,
                          size_t size)
{
    struct tls_connection *connection = setup->current;
    struct ticket_head head;
    int64_t now = connection->now / 1000000000;
    if (size < sizeof(head))
        return false;
    memcpy(&head, inside, sizeof(head));
    if (head.leaf > size - sizeof(head) || now < head.issued || now - head.issued >= TICKET_LIFETIME)
        return false;
    const unsigned char *leaf = inside + sizeof(head), *saved = leaf + head.leaf;
    struct tls_record record = { mesh__view((const char *)leaf, head.leaf), head.not_before, head.not_after };
    if (setup->spec->settings.with_certificate && (head.leaf == 0 || !mesh__tls_judge_record(connection, &record)))
        return false;
    return mbedtls_ssl_session_load(session, saved, size - sizeof(head) - head.leaf) == 0;
}

/* What is not accepted is no error: a whole handshake follows, which says what is wrong. */
int mesh__tls_ticket_parse(void *user, mbedtls_ssl_session *session, unsigned char *bytes, size_t size)
{
    struct tls_setup *setup = user;
    struct tls_connection *connection = setup->current;
    struct tls_ticket_key key;
    connection->offered = false;
    if (size < TICKET_FRONT + sizeof(struct ticket_head) + TICKET_TAG ||
        !opening_key(&setup->spec->tickets, connection->now / 1000000000, bytes, &key))
        return MBEDTLS_ERR_SSL_INVALID_MAC;
    bool ok = unseal(&key, bytes, size);
    explicit_bzero(&key, sizeof(key));
    if (!ok)
        return MBEDTLS_ERR_SSL_INVALID_MAC;
    unsigned char *inside = bytes + TICKET_FRONT;
    size_t room = size - TICKET_FRONT - TICKET_TAG;
    connection->offered = accept_ticket(setup, session, inside, room);
    explicit_bzero(inside, room);
    return connection->offered ? 0 : MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
}

/* ---- session ids, of clients without tickets: the server keeps what a ticket would have held ---- */

#define ID_MAX 32

static void name_id(const unsigned char *id, size_t size, char out[2 * ID_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    out[2 * size] = '\0';
}

void mesh__tls_id_keep(struct tls_setup *setup, const unsigned char *id, size_t id_size,
                       const mbedtls_ssl_session *session)
{
    char name[2 * ID_MAX + 1];
    struct tls_spec *spec = setup->spec;
    const struct tls_record none = { .leaf = { NULL, 0 } }; /* it is in the ticket */
    if (id_size == 0 || id_size > ID_MAX)
        return;
    unsigned char *ticket = mesh__alloc(&spec->mem, SESSION_MAX);
    size_t size = ticket ? write_ticket(setup, session, ticket, SESSION_MAX) : 0;
    name_id(id, id_size, name);
    struct tls_session_entry *entry = size > 0 ? entry_new(&spec->mem, size, &none, name) : NULL;
    if (entry) {
        memcpy(entry->bytes, ticket, size);
        pthread_mutex_lock(&spec->sessions.mutex);
        entry = put(&spec->sessions, entry);
        pthread_mutex_unlock(&spec->sessions.mutex);
    }
    entry_free(entry, &spec->mem);
    mesh__mem_free(&spec->mem, ticket);
}

/* mbedTLS resumes it only under the suite that it has just agreed on. */
static bool fits_suite(const struct tls_setup *setup, const mbedtls_ssl_session *session)
{
    return session->ciphersuite == setup->current->ssl.session_negotiate->ciphersuite;
}

/* Opening a ticket changes its bytes, so a copy is opened, and the entry stays for the next time. */
bool mesh__tls_id_find(struct tls_setup *setup, const unsigned char *id, size_t id_size, mbedtls_ssl_session *out)
{
    char name[2 * ID_MAX + 1];
    struct tls_spec *spec = setup->spec;
    if (id_size == 0 || id_size > ID_MAX)
        return false;
    name_id(id, id_size, name);
    pthread_mutex_lock(&spec->sessions.mutex);
    struct tls_session_entry *entry = take(&spec->sessions, name);
    pthread_mutex_unlock(&spec->sessions.mutex);
    unsigned char *ticket = entry ? mesh__alloc(&spec->mem, entry->size) : NULL;
    bool found = false;
    if (ticket) {
        memcpy(ticket, entry->bytes, entry->size);
        found = mesh__tls_ticket_parse(setup, out, ticket, entry->size) == 0;
        setup->current->offered = found && fits_suite(setup, out);
    }
    if (found) {
        pthread_mutex_lock(&spec->sessions.mutex);
        entry = put(&spec->sessions, entry);
        pthread_mutex_unlock(&spec->sessions.mutex);
    }
    entry_free(entry, &spec->mem);
    mesh__mem_free(&spec->mem, ticket);
    return found;
}
