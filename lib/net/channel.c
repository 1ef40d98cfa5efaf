/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c - what every connection has: dialling, TLS, steps, timers and its end. What is said over it is its codec's.
 */
#include "net/channel.h"

#include "net/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* So much is read for one connection before the others get their turn. */
#define READS_PER_STEP 16

/* What an idle connection may have said fits here, or is read in pieces. */
#define LOOK_SIZE 4096

static struct loop *loop_of(const struct channel *channel)
{
    return channel->pool->group->loop;
}

static void destroy(struct channel *channel)
{
    const struct mem *mem = channel->mem;
    if (channel->codec)
        channel->codec->free(channel);
    if (channel->stream)
        channel->stream->ops->close(channel->stream);
    mesh__mem_free(mem, channel);
}

void mesh__channel_close(struct channel *channel)
{
    if (channel->state == CHANNEL_CLOSED)
        return;
    mesh__loop_timer_cancel(loop_of(channel), &channel->timer);
    mesh__loop_cancel(&channel->again);
    mesh__list_remove(&channel->link);
    if (channel->codec)
        channel->codec->forget(channel);
    mesh__pool_closed(channel);
    channel->state = CHANNEL_CLOSED;
    if (!channel->stepping)
        destroy(channel);
}

/* ---- steps ---- */

static bool is_reading(const struct channel *channel)
{
    return channel->broken || channel->codec->is_reading == NULL || channel->codec->is_reading(channel);
}

static void arm(struct channel *channel)
{
    uint32_t interest = is_reading(channel) ? LOOP_READ : 0;
    if (channel->codec->is_writing(channel))
        interest |= LOOP_WRITE;
    mesh__stream_arm(channel->stream, interest);
}

bool mesh__channel_enter(struct channel *channel)
{
    bool was_stepping = channel->stepping;
    channel->stepping = true;
    return was_stepping;
}

void mesh__channel_leave(struct channel *channel, bool was_stepping)
{
    channel->stepping = was_stepping;
    if (was_stepping)
        return;
    if (channel->state == CHANNEL_CLOSED)
        destroy(channel);
    else if (channel->state != CHANNEL_DIALING)
        arm(channel);
}

bool mesh__channel_refused(const struct channel *channel, struct failure *out)
{
    mesh_nanos took;
    const struct tls_report *tls = mesh__channel_tls(channel, &took);
    if (tls == NULL || tls->status != MESH_TLS_REFUSED_BY_PEER)
        return false;
    *out = (struct failure){ .status = tls->status, .reason = tls->words, .unsent = true };
    return true;
}

static void read_on(struct channel *channel, char *space, size_t size)
{
    struct stream *stream = channel->stream;
    bool more = true;
    for (int i = 0; more && is_reading(channel) && i < READS_PER_STEP; i++) {
        ssize_t got = stream->ops->read(stream, space, size);
        if (got == -EAGAIN && (channel->write_error == 0 || channel->state == CHANNEL_IDLE))
            return;
        if (got <= 0) {
            channel->codec->lost(channel, got == -EAGAIN ? -channel->write_error : (int)got);
            return;
        }
        COUNTER_ADD(channel->pool->counters->bytes_received, got);
        more = channel->codec->read(channel, space, (size_t)got) && channel->state != CHANNEL_CLOSED;
        if (more && (size_t)got < size && !stream->ops->has_buffered_input(stream))
            return;
    }
    if (channel->state != CHANNEL_CLOSED && is_reading(channel) && stream->ops->has_buffered_input(stream))
        mesh__loop_post(loop_of(channel), &channel->again);
}

/* NULL when the policy of this side lets it talk to the peer; else the words for why not. */
static const char *forbidden(const struct channel *channel, const struct tls_report *report, char *space, size_t size)
{
    const struct access_policy *access = channel->pool->group->security.access;
    if (access == NULL)
        return NULL;
    struct spiffe_id id = { 0 };
    struct access_request request = { .port = mesh__address_port(&channel->pool->address) };
    if (report && report->peer_id[0] && mesh__spiffe_parse(mesh__view_of(report->peer_id), &id) == NULL) {
        request.peer_id = id.text;
        request.trust_domain = id.trust_domain;
        request.namespace_name = mesh__spiffe_namespace(&id);
    }
    struct access_decision decision = mesh__authorize(access, &request);
    if (decision.allowed)
        return NULL;
    (void)snprintf(space, size, "%s%s%s", report && report->peer_id[0] ? report->peer_id : "a peer without an id",
                   decision.rule ? " is denied by the rule " : " is allowed by no rule",
                   decision.rule ? decision.rule : "");
    return space;
}

/* Is what the channel speaks still what is wanted? */
static bool is_wanted(const struct channel *channel)
{
    const struct pool *pool = channel->pool;
    enum pool_protocol protocol = pool->http1_only ? POOL_HTTP1 : pool->group->protocol;
    return protocol != (channel->codec->multiplexed ? POOL_HTTP1 : POOL_HTTP2);
}

bool mesh__channel_allowed(struct channel *channel)
{
    char words[SPIFFE_ID_MAX + 128];
    const struct pool_group *group = channel->pool->group;
    if (channel->judged == group->secured)
        return true;
    mesh_nanos took;
    if (channel->spec != mesh__pool_spec(channel->pool) || !is_wanted(channel) ||
        forbidden(channel, mesh__channel_tls(channel, &took), words, sizeof(words)))
        return false;
    channel->judged = group->secured;
    return true;
}

/* What the connection will speak, as the peer chose by ALPN, or as the config says where it chose nothing. NULL: the
 * peer does not speak what this side insists on. */
static const struct channel_codec *choose_codec(const struct channel *channel, const struct tls_report *report)
{
    const struct pool *pool = channel->pool;
    enum pool_protocol protocol = pool->http1_only ? POOL_HTTP1 : pool->group->protocol;
    const char *chosen = report && report->alpn ? report->alpn : "";
    if (strcmp(chosen, "h2") == 0 || strcmp(chosen, "istio-h2") == 0)
        return &mesh__codec_http2;
    if (strcmp(chosen, "http/1.1") == 0 || strcmp(chosen, "istio-http/1.1") == 0)
        return &mesh__codec_http1;
    if (protocol != POOL_HTTP2)
        return &mesh__codec_http1;
    bool silent =
        chosen[0] == '\0' && report && channel->spec && mesh__tls_spec_settings(channel->spec)->alpn_count > 0;
    return silent ? NULL : &mesh__codec_http2;
}

/* There is no silent way around verification: each connection that has none is told of. */
static void tell_unverified(const struct channel *channel)
{
    const struct pool_group *group = channel->pool->group;
    if (channel->spec && mesh__tls_spec_settings(channel->spec)->demand.verify == TLS_VERIFY_NONE &&
        group->hooks->unverified)
        group->hooks->unverified(group->user, &channel->pool->address);
}

/* The stream is up: may this connection be used, and for what? */
static void connected(struct channel *channel)
{
    mesh_nanos took;
    char words[SPIFFE_ID_MAX + 128];
    const struct tls_report *report = mesh__channel_tls(channel, &took);
    tell_unverified(channel);
    const char *why = forbidden(channel, report, words, sizeof(words));
    if (why) {
        mesh__pool_dial_failed(channel, MESH_DENIED, why, 0);
        return;
    }
    const struct channel_codec *codec = choose_codec(channel, report);
    if (codec == NULL) {
        mesh__pool_dial_failed(channel, MESH_PROTOCOL, "the peer did not agree to speak HTTP/2 (ALPN \"h2\")", 0);
        return;
    }
    if (!codec->open(channel)) {
        mesh__pool_dial_failed(channel, MESH_NO_MEMORY, NULL, 0);
        return;
    }
    channel->codec = codec;
    channel->judged = channel->pool->group->secured;
    mesh__pool_dialed(channel);
}

static void connect_on(struct channel *channel)
{
    struct stream *stream = channel->stream;
    int error = stream->ops->connected(stream);
    struct tls_state tls;
    bool secured = mesh__tls_stream_state(stream, &tls);
    if (error == -EINPROGRESS) {
        if (secured && tls.shaking)
            mesh__loop_timer_cancel(loop_of(channel), &channel->timer); /* the handshake has a timer of its own */
        mesh__stream_arm(stream, LOOP_WRITE);
        return;
    }
    mesh__loop_timer_cancel(loop_of(channel), &channel->timer);
    if (error == 0) {
        connected(channel);
    } else if (secured && tls.status != MESH_OK) {
        mesh__pool_dial_failed(channel, tls.status, tls.words && tls.words[0] ? tls.words : NULL, 0);
    } else {
        mesh_status status = mesh__pool_dial_status(-error);
        /* The network can say more than is listed there, and all of it is about the way to the endpoint. */
        mesh__pool_dial_failed(channel, status == MESH_SYSTEM ? MESH_CONNECT_UNREACHABLE : status, NULL, -error);
    }
}

static void step(struct channel *channel, uint32_t events)
{
    (void)mesh__channel_enter(channel);
    if (channel->state == CHANNEL_DIALING) {
        connect_on(channel);
    } else {
        if ((events & LOOP_WRITE) && channel->codec->is_writing(channel))
            channel->codec->write(channel);
        if (channel->state != CHANNEL_CLOSED)
            read_on(channel, loop_of(channel)->scratch, LOOP_SCRATCH_SIZE);
    }
    mesh__channel_leave(channel, false);
}

static void on_ready(void *user, uint32_t events)
{
    struct channel *channel = user;
    channel->ended |= (events & LOOP_END) != 0;
    channel->broken |=
        channel->state != CHANNEL_DIALING && !is_reading(channel) && !channel->codec->is_writing(channel);
    step(channel, events);
}

static void on_again(struct loop_task *task)
{
    step(CONTAINER_OF(task, struct channel, again), LOOP_READ | LOOP_WRITE);
}

/* The dial took too long, or the channel was idle for long enough; while exchanges are on it, it is the codec's. */
static void on_timer(struct loop_timer *timer)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, timer);
    struct loop *loop = loop_of(channel);
    (void)mesh__channel_enter(channel);
    if (channel->state == CHANNEL_DIALING) {
        mesh__pool_dial_failed(channel, MESH_CONNECT_TIMEOUT, NULL, 0);
    } else if (channel->state == CHANNEL_IDLE) {
        mesh_nanos due = mesh__nanos_add(channel->idle_since, channel->idle_limit);
        if (due <= loop->now || !mesh__loop_timer_set(loop, &channel->timer, due))
            mesh__channel_close(channel);
    } else {
        channel->codec->timer(channel);
    }
    mesh__channel_leave(channel, false);
}

const struct tls_report *mesh__channel_tls(const struct channel *channel, mesh_nanos *took)
{
    struct tls_state tls;
    if (!mesh__tls_stream_state(channel->stream, &tls))
        return NULL;
    *took = tls.took;
    return tls.report;
}

/* The stream, with TLS over it where the group says so. */
static int connect_stream(struct channel *channel, const struct address *address)
{
    const struct pool_group *group = channel->pool->group;
    struct loop *loop = group->loop;
    struct stream *below;
    int error = loop->world->connect(loop->world, loop, address, &below);
    if (error)
        return error;
    if (group->security.spec == NULL) {
        channel->stream = below;
        return 0;
    }
    channel->spec = mesh__pool_spec(channel->pool);
    struct tls_plan plan = { .desk = group->desk,
                             .spec = channel->spec,
                             .side = TLS_CLIENT,
                             .peer = address->text,
                             .timeout = group->security.handshake_timeout };
    return mesh__tls_stream_new(&plan, below, &channel->stream);
}

int mesh__channel_dial(struct pool *pool, const struct address *address, mesh_nanos timeout, struct channel **out)
{
    struct loop *loop = pool->group->loop;
    struct channel *channel = mesh__zalloc(loop->mem, sizeof(*channel));
    if (channel == NULL)
        return -ENOMEM;
    channel->mem = loop->mem;
    channel->pool = pool;
    channel->timer.fire = on_timer;
    channel->again.run = on_again;
    channel->opened_at = loop->now;
    channel->idle_limit = pool->group->policy.idle_timeout;
    int error = connect_stream(channel, address);
    if (!error && !mesh__loop_timer_set(loop, &channel->timer, mesh__nanos_add(loop->now, timeout)))
        error = -ENOMEM;
    if (error) {
        destroy(channel);
        return error;
    }
    channel->stream->ready = on_ready;
    channel->stream->user = channel;
    mesh__stream_arm(channel->stream, LOOP_WRITE);
    *out = channel;
    return 0;
}

void mesh__channel_begin(struct channel *channel, struct exchange *exchange)
{
    bool was_stepping = mesh__channel_enter(channel);
    channel->exchanges++;
    exchange->channel = channel;
    exchange->reused = channel->exchanges > 1;
    exchange->sent = 0;
    exchange->out = (struct http1_sending){ 0 };
    exchange->unread = 0;
    exchange->stalled = false;
    exchange->first_at = 0;
    exchange->ready_at = loop_of(channel)->now;
    channel->codec->begin(channel, exchange);
    if (channel->codec->multiplexed && channel->state != CHANNEL_CLOSED)
        mesh__pool_place(channel);
    mesh__channel_leave(channel, was_stepping);
}

void mesh__channel_cancel(struct channel *channel, struct exchange *exchange)
{
    bool was_stepping = mesh__channel_enter(channel);
    channel->codec->cancel(channel, exchange);
    mesh__channel_leave(channel, was_stepping);
}

void mesh__channel_resume(struct channel *channel, struct exchange *exchange)
{
    bool was_stepping = mesh__channel_enter(channel);
    channel->codec->resume(channel, exchange);
    mesh__channel_leave(channel, was_stepping);
}

void mesh__channel_consume(struct channel *channel, struct exchange *exchange, size_t size)
{
    bool was_stepping = mesh__channel_enter(channel);
    channel->codec->consume(channel, exchange, size);
    mesh__channel_leave(channel, was_stepping);
}

/* What waits is read into a space of its own, since whoever asks may be in the middle of what was read from another. */
static void read_first(struct channel *channel)
{
    char space[LOOK_SIZE];
    read_on(channel, space, sizeof(space));
    if (channel->state == CHANNEL_IDLE && channel->codec->room(channel) == 0)
        mesh__channel_close(channel);
}

/* Where the peer may speak on its own, reading is the look: over TLS any other one takes what is there. */
bool mesh__channel_look(struct channel *channel)
{
    bool was_stepping = mesh__channel_enter(channel);
    if (channel->codec->multiplexed && !was_stepping)
        read_first(channel);
    else if (!channel->stream->ops->is_quiet(channel->stream))
        mesh__channel_close(channel);
    bool good = channel->state == CHANNEL_IDLE;
    mesh__channel_leave(channel, was_stepping);
    return good;
}
