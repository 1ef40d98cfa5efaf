/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - the request as rules see it: path in its normal form, fields of one name joined. */
#include "server/access.h"

#include "server/path.h"

#define PATH_ROOM 1024
#define JOINED_MAX (SIZE_MAX / 2)

/* Values that were joined live until the request has been judged. */
struct joined {
    struct joined *next;
    struct buf value;
};

struct judging {
    const mesh_exchange *exchange;
    const struct mem *mem;
    struct joined *joined;
    bool no_memory;
};

static bool is_named(const mesh_header *header, struct view name)
{
    return mesh__view_equal_nocase(mesh__view(header->name, header->name_size), name);
}

static bool append_all(struct buf *out, const mesh_exchange *exchange, struct view name)
{
    bool first = true, ok = true;
    for (size_t i = 0; ok && i < exchange->header_count; i++) {
        const mesh_header *header = &exchange->headers[i];
        if (!is_named(header, name))
            continue;
        ok = (first || mesh__buf_append_text(out, ",")) && mesh__buf_append(out, header->value, header->value_size);
        first = false;
    }
    return ok;
}

static bool join(struct judging *judging, struct view name, struct view *value)
{
    struct joined *joined = mesh__alloc(judging->mem, sizeof(*joined));
    if (joined == NULL) {
        judging->no_memory = true;
        return false;
    }
    joined->next = judging->joined;
    judging->joined = joined;
    mesh__buf_init(&joined->value, judging->mem, JOINED_MAX);
    judging->no_memory |= !append_all(&joined->value, judging->exchange, name);
    *value = mesh__view(joined->value.data, joined->value.size);
    return true;
}

static bool find_header(void *user, struct view name, struct view *value)
{
    struct judging *judging = user;
    const mesh_exchange *exchange = judging->exchange;
    const mesh_header *found = NULL;
    for (size_t i = 0; i < exchange->header_count; i++) {
        if (!is_named(&exchange->headers[i], name))
            continue;
        if (found != NULL)
            return join(judging, name, value);
        found = &exchange->headers[i];
    }
    if (found != NULL)
        *value = mesh__view(found->value, found->value_size);
    return found != NULL;
}

static void copy_text(char *out, size_t room, struct view text)
{
    size_t size = text.size < room ? text.size : room - 1;
    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
}

static void audit(const mesh_exchange *exchange, const struct access_decision *decision, struct view path)
{
    mesh_server *server = exchange->server;
    const struct peer *peer = exchange->peer;
    if (!mesh__outbox_wants_audits(server->outbox))
        return;
    struct audit_record record = { .kind = MESH_AUDIT_REQUEST,
                                   .allowed = decision->allowed,
                                   .would_deny = decision->would_deny,
                                   .unix_ns = exchange->arrived_unix };
    copy_text(record.name, sizeof(record.name), mesh__view_of(server->settings->name));
    copy_text(record.rule, sizeof(record.rule), mesh__view_of(decision->rule));
    copy_text(record.peer_id, sizeof(record.peer_id), peer->id.text);
    copy_text(record.peer_address, sizeof(record.peer_address), mesh__view_of(peer->address));
    copy_text(record.method, sizeof(record.method), mesh__view_of(exchange->method));
    copy_text(record.path, sizeof(record.path), path);
    mesh__outbox_audit(server->outbox, &record);
}

/* Denials only: whoever wants all decisions listens to audits. */
static void log_denial(const mesh_exchange *exchange, const struct access_decision *decision, bool judged)
{
    mesh_server *server = exchange->server;
    const struct peer *peer = exchange->peer;
    const char *would = decision->allowed ? "would be denied (dry run)" : "was denied";
    const char *id = peer->id.text.size > 0 ? peer->id.text.data : "without an id";
    int size = (int)mesh__path_of(mesh__view_of(exchange->path)).size;
    if (!judged)
        SERVER_LOG(server, MESH_LOG_INFO, "server %s: a request from %s, %s, %s: its path has no normal form: %s %.*s",
                   server->settings->name, mesh__peer_name(peer), id, would, exchange->method, size, exchange->path);
    else if (decision->rule != NULL)
        SERVER_LOG(server, MESH_LOG_INFO, "server %s: a request from %s, %s, %s by \"%s\": %s %.*s",
                   server->settings->name, mesh__peer_name(peer), id, would, decision->rule, exchange->method, size,
                   exchange->path);
    else
        SERVER_LOG(server, MESH_LOG_INFO, "server %s: a request from %s, %s, %s, since no rule allows it: %s %.*s",
                   server->settings->name, mesh__peer_name(peer), id, would, exchange->method, size, exchange->path);
}

static struct access_decision decide(const struct access_policy *policy, struct judging *judging, struct view path)
{
    const mesh_exchange *exchange = judging->exchange;
    const struct peer *peer = exchange->peer;
    const struct access_request request = {
        .peer_id = peer->id.text,
        .trust_domain = peer->id.trust_domain,
        .namespace_name = mesh__spiffe_namespace(&peer->id),
        .method = mesh__view_of(exchange->method),
        .path = path,
        .port = exchange->server->port,
        .header = find_header,
        .user = judging,
    };
    return mesh__authorize(policy, &request);
}

static void free_joined(struct judging *judging)
{
    while (judging->joined != NULL) {
        struct joined *joined = judging->joined;
        judging->joined = joined->next;
        mesh__buf_fini(&joined->value);
        mesh__mem_free(judging->mem, joined);
    }
}

/* `room` takes a path as long as the exchange's. */
static bool judge(const struct access_policy *policy, const mesh_exchange *exchange, char *room, bool *denied)
{
    struct judging judging = { .exchange = exchange, .mem = &exchange->server->mem };
    struct view path = { room, 0 };
    struct view target = mesh__view_of(exchange->path);
    bool normal = mesh__path_normalize(target, room, &path.size);
    struct access_decision decision = { .allowed = policy->dry_run, .would_deny = true };
    if (normal)
        decision = decide(policy, &judging, path);
    free_joined(&judging);
    if (judging.no_memory)
        return false;
    audit(exchange, &decision, normal ? path : mesh__path_of(target));
    if (decision.would_deny)
        log_denial(exchange, &decision, normal);
    *denied = !decision.allowed;
    return true;
}

bool mesh__access_judge(const mesh_exchange *exchange, bool *denied)
{
    const struct access_policy *policy = exchange->server->settings->access;
    const struct mem *mem = &exchange->server->mem;
    *denied = false;
    if (policy == NULL)
        return true;
    char small[PATH_ROOM];
    size_t size = strlen(exchange->path) + 1;
    char *room = size <= sizeof(small) ? small : mesh__alloc(mem, size);
    bool judged = room != NULL && judge(policy, exchange, room, denied);
    if (room != small)
        mesh__mem_free(mem, room);
    return judged;
}
