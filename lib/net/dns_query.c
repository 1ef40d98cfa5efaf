/* SPDX-License-Identifier: Apache-2.0 */
/* dns_query.c - one name asked for: a literal, the hosts file, then each candidate name for both families at once.
 *
 * Everything is decided in the query's task or timer, with nothing of c-ares on the stack. A server's failure lets the
 * search go on, since one domain's server must not hide the others', but then the name is not reported as missing. */
#include "net/dns_inside.h"
#include "net/dns_message.h"
#include "net/dns_set.h"
#include "net/dns_system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define NAMES_CAP 65536
#define HOSTS_CAP ((size_t)16 << 20)
#define HOSTS_TTL_S 30
#define FOR_EVER_S INT32_MAX
#define GRACE (50 * NANOS_MS) /* for the other family, once one is there (RFC 8305, 3) */

enum stage { STAGE_BEGIN, STAGE_ASKING, STAGE_TELLING };

struct half {
    struct dns_question question;
    struct dns_query *query;
    struct dns_reply reply; /* valid once it is not pending */
    bool pending;
    char detail[DNS_DETAIL_MAX];
};

struct dns_query {
    struct list link; /* in dns.queries until it is told */
    struct dns *dns;
    struct loop_task task;
    struct loop_timer grace;
    void (*done)(void *user, const struct dns_answer *);
    void *user;
    char *host;
    uint16_t port;
    enum stage stage;
    struct buf names; /* candidates, a NUL behind each */
    size_t next_name;
    struct half halves[2];
    struct dns_set set;
    bool failed, empty;    /* of some candidate so far */
    uint32_t negative_ttl; /* the least so far */
    char detail[DNS_DETAIL_MAX];
};

static void release(struct dns_query *query)
{
    const struct mem *mem = query->set.mem;
    mesh__dns_set_fini(&query->set);
    mesh__buf_fini(&query->names);
    mesh__mem_free(mem, query->host);
    mesh__mem_free(mem, query);
}

/* Takes the query out of everything that could call it. */
static void detach(struct dns_query *query)
{
    mesh__list_remove(&query->link);
    mesh__loop_cancel(&query->task);
    mesh__loop_timer_cancel(query->dns->loop, &query->grace);
    for (int i = 0; i < 2; i++)
        mesh__dns_forget(&query->halves[i].question);
}

void mesh__dns_drop(struct dns_query *query)
{
    detach(query);
    release(query);
}

struct dns_query *mesh__dns_query_of(struct list *node)
{
    return CONTAINER_OF(node, struct dns_query, link);
}

void mesh__dns_cancel(struct dns_query *query)
{
    if (query->stage != STAGE_TELLING) /* then it is on its way out */
        mesh__dns_drop(query);
}

static void tell(struct dns_query *query, const struct dns_answer *answer)
{
    detach(query);
    query->stage = STAGE_TELLING;
    query->done(query->user, answer); /* may free the dns */
    release(query);
}

__attribute__((format(printf, 3, 4))) static void fail(struct dns_query *query, mesh_status status, const char *format,
                                                       ...)
{
    struct dns_answer answer = { .status = status, .detail = query->detail };
    char words[DNS_DETAIL_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    memcpy(query->detail, words, sizeof(words)); /* the arguments may lie in it */
    if (status != MESH_DISCOVERY && query->negative_ttl != UINT32_MAX)
        answer.ttl_s = query->negative_ttl;
    tell(query, &answer);
}

static void succeed(struct dns_query *query, uint32_t ttl_s, int missing_family)
{
    mesh__dns_set_sort(&query->set);
    mesh__dns_set_drop_unroutable(&query->set);
    struct dns_answer answer = { .status = MESH_OK,
                                 .addresses = query->set.addresses,
                                 .count = query->set.count,
                                 .ttl_s = ttl_s,
                                 .missing_family = missing_family,
                                 .detail = "" };
    tell(query, &answer);
}

static bool add_ip(void *user, const uint8_t *ip)
{
    struct half *half = user;
    return mesh__dns_set_add_ip(&half->query->set, half->question.family, ip);
}

/* Reads a message into the half. Of a malformed one no address is kept. */
static const char *read_message(struct half *half, const struct dns_outcome *outcome, char space[static 16])
{
    struct dns_set *set = &half->query->set;
    uint32_t count = set->count;
    half->reply = mesh__dns_message_read(outcome->bytes, outcome->size, half->question.family, add_ip, half);
    if (half->reply.kind != DNS_KIND_MALFORMED)
        return mesh__dns_rcode_name(half->reply.rcode, space);
    set->count = count;
    return half->reply.problem;
}

/* Notes what a question got; the task looks at it. */
static void half_answered(struct dns_question *question, const struct dns_outcome *outcome)
{
    struct half *half = CONTAINER_OF(question, struct half, question);
    char space[16];
    const char *what = outcome->detail;
    half->pending = false;
    if (outcome->bytes != NULL)
        what = read_message(half, outcome, space);
    else
        /* A server that says no lets the search go on; silence would only cost the same time again. */
        half->reply = (struct dns_reply){ .kind = outcome->refused_by_rcode ? DNS_KIND_FAILED : DNS_KIND_MALFORMED };
    (void)snprintf(half->detail, sizeof(half->detail), "%s%s%s", what, outcome->peer[0] ? " from " : "", outcome->peer);
    mesh__loop_post(half->query->dns->loop, &half->query->task);
}

static void ask_next(struct dns_query *query);

static bool is_failure(const struct half *half)
{
    return half->pending || half->reply.kind == DNS_KIND_FAILED || half->reply.kind == DNS_KIND_MALFORMED;
}

static void note_negative(struct dns_query *query, const struct dns_reply *reply)
{
    if (reply->ttl_s < query->negative_ttl)
        query->negative_ttl = reply->ttl_s;
}

static void judge_success(struct dns_query *query)
{
    uint32_t ttl_s = FOR_EVER_S;
    int missing_family = 0;
    for (int i = 0; i < 2; i++) {
        const struct half *half = &query->halves[i];
        if (is_failure(half))
            missing_family = half->question.family;
        else if (half->reply.kind == DNS_KIND_ADDRESSES && half->reply.ttl_s < ttl_s)
            ttl_s = half->reply.ttl_s;
    }
    succeed(query, ttl_s, missing_family);
}

/* Both halves of a candidate are there, or enough of them. */
static void judge(struct dns_query *query)
{
    const struct half *v4 = &query->halves[0], *v6 = &query->halves[1];
    if (v4->reply.kind == DNS_KIND_ADDRESSES || v6->reply.kind == DNS_KIND_ADDRESSES) {
        judge_success(query);
        return;
    }
    bool no_name = v4->reply.kind == DNS_KIND_NO_NAME || v6->reply.kind == DNS_KIND_NO_NAME;
    const struct half *failed = is_failure(v4) ? v4 : is_failure(v6) ? v6 : NULL;
    if (!no_name && failed != NULL) {
        if (failed->reply.kind == DNS_KIND_MALFORMED) {
            fail(query, MESH_DISCOVERY, "%s", failed->detail);
            return;
        }
        query->failed = true;
        memcpy(query->detail, failed->detail, sizeof(query->detail));
    } else {
        const struct half *said = no_name && v4->reply.kind != DNS_KIND_NO_NAME ? v6 : v4;
        note_negative(query, &said->reply);
        if (!no_name)
            note_negative(query, &v6->reply);
        query->empty = query->empty || !no_name;
        if (!query->failed)
            memcpy(query->detail, said->detail, sizeof(query->detail));
    }
    ask_next(query);
}

static void ask_next(struct dns_query *query)
{
    if (query->next_name >= query->names.size) {
        if (query->failed)
            fail(query, MESH_DISCOVERY, "%s", query->detail);
        else if (query->empty)
            fail(query, MESH_NO_ENDPOINT, "the name has no address");
        else
            fail(query, MESH_NO_SUCH_NAME, "%s", query->detail);
        return;
    }
    const char *name = query->names.data + query->next_name;
    query->next_name += strlen(name) + 1;
    query->set.count = 0;
    query->stage = STAGE_ASKING;
    for (int i = 0; i < 2; i++) {
        query->halves[i].pending = true;
        query->halves[i].reply = (struct dns_reply){ .kind = DNS_KIND_MALFORMED };
    }
    for (int i = 0; i < 2; i++)
        if (!mesh__dns_ask(query->dns, name, &query->halves[i].question)) {
            fail(query, MESH_DISCOVERY, "memory ran out");
            return;
        }
}

static void look_at_answers(struct dns_query *query)
{
    const struct half *v4 = &query->halves[0], *v6 = &query->halves[1];
    if (v4->pending && v6->pending)
        return;
    if (!v4->pending && !v6->pending) {
        mesh__loop_timer_cancel(query->dns->loop, &query->grace);
        judge(query);
        return;
    }
    const struct half *there = v4->pending ? v6 : v4;
    if (there->reply.kind != DNS_KIND_ADDRESSES || query->grace.timer.place != 0)
        return;
    if (!mesh__loop_timer_set(query->dns->loop, &query->grace, mesh__nanos_add(query->dns->loop->now, GRACE)))
        judge(query);
}

static void grace_over(struct loop_timer *timer)
{
    judge(CONTAINER_OF(timer, struct dns_query, grace));
}

/* Answers from the hosts file, if it can. True when the query has ended. */
static bool try_hosts(struct dns_query *query, struct view host)
{
    struct buf text;
    mesh__buf_init(&text, query->set.mem, HOSTS_CAP);
    int error = mesh__file_read(query->dns->hosts, &text, NULL);
    if (error == 0)
        error = -mesh__dns_hosts_find(mesh__view(text.data, text.size), host, &query->set);
    mesh__buf_fini(&text);
    if (error == -ENOMEM || error == -EFBIG) {
        char space[128];
        fail(query, MESH_DISCOVERY, "%s: %s", query->dns->hosts, mesh__file_problem(error, space, sizeof(space)));
        return true;
    }
    if (query->set.count == 0)
        return false;
    succeed(query, HOSTS_TTL_S, 0);
    return true;
}

/* "localhost" and names below it never leave the machine (RFC 6761, 6.3). */
static bool try_localhost(struct dns_query *query, struct view host)
{
    static const struct view local = { "localhost", 9 };
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size < local.size || (host.size > local.size && host.data[host.size - local.size - 1] != '.') ||
        !mesh__view_equal_nocase(mesh__view(host.data + host.size - local.size, local.size), local))
        return false;
    struct in_addr v4 = { htonl(INADDR_LOOPBACK) };
    if (mesh__dns_set_add_ip(&query->set, AF_INET, &v4) &&
        mesh__dns_set_add_ip(&query->set, AF_INET6, &in6addr_loopback))
        succeed(query, FOR_EVER_S, 0);
    else
        fail(query, MESH_DISCOVERY, "memory ran out");
    return true;
}

static void begin(struct dns_query *query)
{
    struct view host = mesh__view_of(query->host);
    struct address literal;
    if (mesh__dns_literal(host, query->port, &literal)) {
        if (mesh__dns_set_add(&query->set, &literal))
            succeed(query, FOR_EVER_S, 0);
        else
            fail(query, MESH_DISCOVERY, "memory ran out");
        return;
    }
    if (!mesh__dns_is_host_name(host)) {
        fail(query, MESH_NO_SUCH_NAME, "it is not a host name");
        return;
    }
    if (try_hosts(query, host) || try_localhost(query, host))
        return;
    mesh__dns_refresh(query->dns);
    char host_name[256];
    if (gethostname(host_name, sizeof(host_name)) != 0)
        host_name[0] = '\0';
    host_name[sizeof(host_name) - 1] = '\0';
    const struct buf *text = &query->dns->resolv_conf_text;
    if (mesh__dns_names(mesh__view(text->data, text->size), host_name, host, &query->names))
        ask_next(query);
    else
        fail(query, MESH_DISCOVERY, "memory ran out");
}

static void run(struct loop_task *task)
{
    struct dns_query *query = CONTAINER_OF(task, struct dns_query, task);
    if (query->stage == STAGE_BEGIN)
        begin(query);
    else
        look_at_answers(query);
}

struct dns_query *mesh__dns_resolve(struct dns *dns, const char *host, uint16_t port,
                                    void (*done)(void *user, const struct dns_answer *), void *user)
{
    struct dns_query *query = mesh__zalloc(dns->mem, sizeof(*query));
    if (query == NULL)
        return NULL;
    query->dns = dns;
    query->task.run = run;
    query->grace.fire = grace_over;
    query->done = done;
    query->user = user;
    query->port = port;
    query->negative_ttl = UINT32_MAX;
    mesh__buf_init(&query->names, dns->mem, NAMES_CAP);
    mesh__dns_set_init(&query->set, dns->mem, port);
    for (int i = 0; i < 2; i++) {
        query->halves[i].query = query;
        query->halves[i].question.family = i == 0 ? AF_INET : AF_INET6;
        query->halves[i].question.answered = half_answered;
    }
    query->host = mesh__strndup(dns->mem, host, strlen(host));
    if (query->host == NULL) {
        release(query);
        return NULL;
    }
    mesh__list_push(&dns->queries, &query->link);
    mesh__loop_post(dns->loop, &query->task);
    return query;
}
