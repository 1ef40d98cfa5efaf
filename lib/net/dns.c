/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c - c-ares on a loop; the only file that names it.
 *
 * Nothing of ours but notes runs inside a c-ares callback, so a channel is never destroyed with c-ares on the stack:
 * whoever is told about an answer is told from a task. Sockets are ours (CLOEXEC, MSG_NOSIGNAL), which also shows the
 * response code of each datagram: c-ares 1.18 reports a server's SERVFAIL as a refused connection. */
#define CARES_NO_DEPRECATED 1
#include "net/dns_inside.h"

#include <ares.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/dns_message.h"

#define RESOLV_CONF_CAP 65536
#define EDNS_SIZE 1232 /* fits into any path's packet unfragmented */
#define NO_RCODE 0xffffu

/* What resolv.conf said at one time. */
struct dns_channel {
    struct list link; /* in dns.channels */
    struct dns *dns;
    ares_channel ares;
    struct list sockets;
    struct loop_timer timer; /* always set, so that moving it cannot fail */
    struct loop_task reap;   /* destroys a channel that is not current and has no lookup left */
    uint32_t lookups;
    unsigned rcode;              /* of the datagram that c-ares is looking at; NO_RCODE: none */
    char peer[ADDRESS_TEXT_MAX]; /* whom we heard from or wrote to last */
    bool closing;
};

struct dns_socket {
    struct list link;
    struct dns_channel *channel;
    struct watch watch;
    int fd, type;
    char peer[ADDRESS_TEXT_MAX];
};

struct dns_lookup {
    struct dns_channel *channel;
    struct dns_question *question; /* NULL: forgotten */
};

static struct dns_socket *find_socket(struct dns_channel *channel, int fd)
{
    for (struct list *node = channel->sockets.next; node != &channel->sockets; node = node->next) {
        struct dns_socket *s = CONTAINER_OF(node, struct dns_socket, link);
        if (s->fd == fd)
            return s;
    }
    return NULL;
}

/* Moves the timer to when c-ares next has something to give up on. */
static void arm(struct dns_channel *channel)
{
    struct timeval space, *left = ares_timeout(channel->ares, NULL, &space);
    mesh_nanos due = NANOS_NEVER;
    if (left != NULL) {
        /* c-ares counts in ms of its own clock: a wait of 0 would come back too early, and again. */
        mesh_nanos wait = (mesh_nanos)left->tv_sec * NANOS_S + (mesh_nanos)left->tv_usec * NANOS_US;
        due = mesh__nanos_add(channel->dns->loop->now, mesh__nanos_max(wait, NANOS_MS));
    }
    (void)mesh__loop_timer_set(channel->dns->loop, &channel->timer, due); /* its place is kept: cannot fail */
}

static void timer_fired(struct loop_timer *timer)
{
    struct dns_channel *channel = CONTAINER_OF(timer, struct dns_channel, timer);
    (void)mesh__loop_timer_set(channel->dns->loop, timer, NANOS_NEVER);
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(channel);
}

static void socket_ready(struct watch *watch, uint32_t events)
{
    struct dns_socket *s = CONTAINER_OF(watch, struct dns_socket, watch);
    struct dns_channel *channel = s->channel;
    int fd = s->fd; /* the socket may be closed from inside */
    ares_process_fd(channel->ares, events & LOOP_READ ? fd : ARES_SOCKET_BAD,
                    events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    arm(channel);
}

static void socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *channel = user;
    struct dns_socket *s = find_socket(channel, fd);
    if (s == NULL)
        return;
    uint32_t interest = (readable ? LOOP_READ : 0u) | (writable ? LOOP_WRITE : 0u);
    if (interest == 0)
        mesh__loop_unwatch(channel->dns->loop, &s->watch);
    else if (s->watch.slot != 0)
        mesh__loop_rewatch(channel->dns->loop, &s->watch, interest);
    else
        (void)mesh__loop_watch(channel->dns->loop, &s->watch, fd, interest); /* failing: the question times out */
}

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    struct dns_channel *channel = user;
    struct dns_socket *s = mesh__zalloc(channel->dns->mem, sizeof(*s));
    if (s == NULL) {
        errno = ENOMEM;
        return ARES_SOCKET_BAD;
    }
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        mesh__mem_free(channel->dns->mem, s);
        return ARES_SOCKET_BAD;
    }
    int on = 1;
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower without, still right */
    s->channel = channel;
    s->watch.ready = socket_ready;
    s->fd = fd;
    s->type = type;
    mesh__list_push(&channel->sockets, &s->link);
    return fd;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct dns_channel *channel = user;
    struct dns_socket *s = find_socket(channel, fd);
    if (s != NULL) {
        mesh__loop_unwatch(channel->dns->loop, &s->watch);
        mesh__list_remove(&s->link);
        mesh__mem_free(channel->dns->mem, s);
    }
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t size, void *user)
{
    struct dns_channel *channel = user;
    struct dns_socket *s = find_socket(channel, fd);
    struct address address;
    mesh__address_from_socket(to, size, &address);
    memcpy(channel->peer, address.text, sizeof(channel->peer));
    if (s != NULL)
        memcpy(s->peer, address.text, sizeof(s->peer));
    return connect(fd, to, size);
}

static ares_ssize_t receive(ares_socket_t fd, void *bytes, size_t size, int flags, struct sockaddr *from,
                            ares_socklen_t *from_size, void *user)
{
    struct dns_channel *channel = user;
    const struct dns_socket *s = find_socket(channel, fd);
    ssize_t got = recvfrom(fd, bytes, size, flags, from, from_size);
    int error = errno;
    channel->rcode = NO_RCODE;
    if (s != NULL && got >= 0)
        memcpy(channel->peer, s->peer, sizeof(channel->peer));
    if (s != NULL && s->type == SOCK_DGRAM && got >= 4)
        channel->rcode = ((const uint8_t *)bytes)[3] & 0x0fu;
    errno = error;
    return got;
}

static ares_ssize_t send_bytes(ares_socket_t fd, const struct iovec *vector, int count, void *user)
{
    struct dns_channel *channel = user;
    const struct dns_socket *s = find_socket(channel, fd);
    if (s != NULL)
        memcpy(channel->peer, s->peer, sizeof(channel->peer));
    struct msghdr message = { .msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count };
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_bytes,
};

static void destroy_channel(struct dns_channel *channel)
{
    struct dns *dns = channel->dns;
    channel->closing = true;
    mesh__list_remove(&channel->link);
    if (channel->ares != NULL)
        ares_destroy(channel->ares);
    mesh__loop_timer_cancel(dns->loop, &channel->timer);
    mesh__loop_cancel(&channel->reap);
    mesh__mem_free(dns->mem, channel);
}

static void reap(struct loop_task *task)
{
    destroy_channel(CONTAINER_OF(task, struct dns_channel, reap));
}

static void reap_if_idle(struct dns_channel *channel)
{
    if (channel != channel->dns->current && channel->lookups == 0 && !channel->closing)
        mesh__loop_post(channel->dns->loop, &channel->reap);
}

static bool set_servers(struct dns_channel *channel)
{
    const struct dns *dns = channel->dns;
    if (dns->server_count == 0)
        return true;
    struct ares_addr_port_node *nodes = mesh__zalloc(dns->mem, dns->server_count * sizeof(*nodes));
    if (nodes == NULL)
        return false;
    for (uint32_t i = 0; i < dns->server_count; i++) {
        const struct address *server = &dns->servers[i];
        struct ares_addr_port_node *node = &nodes[i];
        node->next = i + 1 < dns->server_count ? node + 1 : NULL;
        node->family = server->socket.any.sa_family;
        if (node->family == AF_INET)
            memcpy(&node->addr, &server->socket.v4.sin_addr, sizeof(struct in_addr));
        else
            memcpy(&node->addr, &server->socket.v6.sin6_addr, sizeof(struct in6_addr));
        /* sin_port and sin6_port share their place. */
        node->udp_port = node->tcp_port = ntohs(server->socket.v4.sin_port);
    }
    int status = ares_set_servers_ports(channel->ares, nodes);
    mesh__mem_free(dns->mem, nodes);
    return status == ARES_SUCCESS;
}

static bool start_ares(struct dns_channel *channel)
{
    const struct dns *dns = channel->dns;
    struct ares_options options = { .flags = ARES_FLAG_EDNS,
                                    .ednspsz = EDNS_SIZE,
                                    .timeout = dns->timeout_ms,
                                    .tries = dns->tries,
                                    .lookups = (char *)"b",
                                    .sock_state_cb = socket_state,
                                    .sock_state_cb_data = channel,
                                    .resolvconf_path = dns->resolv_conf };
    int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
#ifdef ARES_OPT_QUERY_CACHE
    options.qcache_max_ttl = 0; /* an answer's time to live shall be the server's */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    if (ares_init_options(&channel->ares, &options, mask) != ARES_SUCCESS) {
        channel->ares = NULL;
        return false;
    }
    ares_set_socket_functions(channel->ares, &socket_functions, channel);
    return set_servers(channel);
}

static struct dns_channel *open_channel(struct dns *dns)
{
    struct dns_channel *channel = mesh__zalloc(dns->mem, sizeof(*channel));
    if (channel == NULL)
        return NULL;
    channel->dns = dns;
    channel->rcode = NO_RCODE;
    channel->timer.fire = timer_fired;
    channel->reap.run = reap;
    mesh__list_init(&channel->sockets);
    mesh__list_push(&dns->channels, &channel->link);
    if (mesh__loop_timer_set(dns->loop, &channel->timer, NANOS_NEVER) && start_ares(channel))
        return channel;
    destroy_channel(channel);
    return NULL;
}

void mesh__dns_refresh(struct dns *dns)
{
    struct file_stamp stamp;
    (void)mesh__file_stamp(dns->resolv_conf, &stamp); /* a missing file has the zero stamp */
    if (dns->current != NULL && mesh__file_stamp_equal(&stamp, &dns->resolv_conf_stamp))
        return;
    struct dns_channel *old = dns->current, *channel = open_channel(dns);
    if (channel == NULL)
        return;
    dns->current = channel;
    dns->resolv_conf_stamp = stamp;
    mesh__buf_clear(&dns->resolv_conf_text);
    if (mesh__file_read(dns->resolv_conf, &dns->resolv_conf_text, NULL) != 0)
        mesh__buf_clear(&dns->resolv_conf_text);
    if (old != NULL)
        reap_if_idle(old);
}

/* Words for how a question ended without a message. */
static const char *words_for(int status)
{
    switch (status) {
    case ARES_ETIMEOUT:
        return "no answer in time";
    case ARES_ECONNREFUSED:
        return "no connection to the server";
    default:
        return ares_strerror(status);
    }
}

static bool is_message(int status, const unsigned char *bytes)
{
    return bytes != NULL &&
           (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND || status == ARES_EFORMERR ||
            status == ARES_ESERVFAIL || status == ARES_ENOTIMP || status == ARES_EREFUSED);
}

static unsigned rcode_of(int status, unsigned seen)
{
    switch (status) {
    case ARES_ESERVFAIL:
        return DNS_SERVFAIL;
    case ARES_ENOTIMP:
        return DNS_NOTIMP;
    case ARES_EREFUSED:
        return DNS_REFUSED;
    case ARES_ECONNREFUSED:
        return seen == DNS_SERVFAIL || seen == DNS_NOTIMP || seen == DNS_REFUSED ? seen : NO_RCODE;
    default:
        return NO_RCODE;
    }
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *bytes, int size)
{
    (void)timeouts;
    struct dns_lookup *lookup = arg;
    struct dns_channel *channel = lookup->channel;
    struct dns_question *question = lookup->question;
    if (question != NULL) {
        char space[16];
        struct dns_outcome outcome = { .peer = channel->peer };
        unsigned rcode = rcode_of(status, channel->rcode);
        if (is_message(status, bytes)) {
            outcome.bytes = bytes;
            outcome.size = (size_t)size;
        } else {
            outcome.refused_by_rcode = rcode != NO_RCODE;
            outcome.detail = rcode != NO_RCODE ? mesh__dns_rcode_name(rcode, space) : words_for(status);
        }
        question->lookup = NULL;
        question->answered(question, &outcome);
    }
    mesh__mem_free(channel->dns->mem, lookup);
    channel->lookups--;
    reap_if_idle(channel);
}

bool mesh__dns_ask(struct dns *dns, const char *name, struct dns_question *question)
{
    enum { CLASS_IN = 1, TYPE_A = 1, TYPE_AAAA = 28 };
    struct dns_lookup *lookup = mesh__zalloc(dns->mem, sizeof(*lookup));
    if (lookup == NULL)
        return false;
    struct dns_channel *channel = dns->current;
    lookup->channel = channel;
    lookup->question = question;
    question->lookup = lookup;
    channel->lookups++;
    channel->rcode = NO_RCODE;
    ares_query(channel->ares, name, CLASS_IN, question->family == AF_INET6 ? TYPE_AAAA : TYPE_A, on_reply, lookup);
    arm(channel);
    return true;
}

void mesh__dns_forget(struct dns_question *question)
{
    if (question->lookup != NULL)
        question->lookup->question = NULL;
    question->lookup = NULL;
}

static int library_status;

static void start_library(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

/* c-ares counts its users without a lock, so it is started once and stays. */
static bool library_is_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, start_library) == 0 && library_status == ARES_SUCCESS;
}

static char *copy_text(const struct mem *mem, const char *text, const char *otherwise)
{
    text = text ? text : otherwise;
    return mesh__strndup(mem, text, strlen(text));
}

static bool copy_options(struct dns *dns, const struct dns_options *options)
{
    mesh_nanos ms = options->timeout / NANOS_MS;
    dns->timeout_ms = ms < 1 ? 1 : ms > INT32_MAX / 64 ? INT32_MAX / 64 : (int)ms;
    dns->tries = options->tries < 1 ? 1 : options->tries > 16 ? 16 : (int)options->tries;
    dns->resolv_conf = copy_text(dns->mem, options->resolv_conf, "/etc/resolv.conf");
    dns->hosts = copy_text(dns->mem, options->hosts, "/etc/hosts");
    if (options->server_count > 0) {
        size_t size = options->server_count * sizeof(*dns->servers);
        dns->servers = mesh__alloc(dns->mem, size);
        if (dns->servers == NULL)
            return false;
        memcpy(dns->servers, options->servers, size);
        dns->server_count = options->server_count;
    }
    return dns->resolv_conf != NULL && dns->hosts != NULL;
}

struct dns *mesh__dns_new(struct loop *loop, const struct dns_options *options)
{
    if (!library_is_ready())
        return NULL;
    struct dns *dns = mesh__zalloc(loop->mem, sizeof(*dns));
    if (dns == NULL)
        return NULL;
    dns->loop = loop;
    dns->mem = loop->mem;
    mesh__list_init(&dns->channels);
    mesh__list_init(&dns->queries);
    mesh__buf_init(&dns->resolv_conf_text, dns->mem, RESOLV_CONF_CAP);
    if (copy_options(dns, options))
        mesh__dns_refresh(dns);
    if (dns->current != NULL)
        return dns;
    mesh__dns_free(dns);
    return NULL;
}

void mesh__dns_free(struct dns *dns)
{
    if (dns == NULL)
        return;
    struct list *node;
    while ((node = dns->queries.next) != &dns->queries)
        mesh__dns_drop(mesh__dns_query_of(node));
    while ((node = dns->channels.next) != &dns->channels)
        destroy_channel(CONTAINER_OF(node, struct dns_channel, link));
    mesh__buf_fini(&dns->resolv_conf_text);
    mesh__mem_free(dns->mem, dns->servers);
    mesh__mem_free(dns->mem, dns->resolv_conf);
    mesh__mem_free(dns->mem, dns->hosts);
    mesh__mem_free(dns->mem, dns);
}
