/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - one grammar for addresses, and one canonical text for each. */
#include "wire/address.h"

#include <arpa/inet.h>
#include <stdio.h>

static const struct view unix_prefix = { "unix:", 5 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "0" to "65535", digits only, no zero in front. */
static bool parse_port(struct view text, uint16_t *port)
{
    if (text.size == 0 || text.size > 5 || (text.size > 1 && text.data[0] == '0'))
        return false;
    uint32_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return false;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* Cuts the text at the end of its host. `rest` is what follows: empty, or ":" and the port. */
static bool cut_host(struct view text, struct view *host, struct view *rest)
{
    if (text.size == 0)
        return false;
    const char *end;
    if (text.data[0] == '[') {
        end = memchr(text.data, ']', text.size);
        if (end == NULL)
            return false;
        *host = mesh__view(text.data + 1, (size_t)(end - text.data) - 1);
        end++;
    } else {
        end = memchr(text.data, ':', text.size);
        end = end ? end : text.data + text.size;
        *host = mesh__view(text.data, (size_t)(end - text.data));
    }
    *rest = mesh__view(end, text.size - (size_t)(end - text.data));
    return host->size > 0 && memchr(host->data, '[', host->size) == NULL && memchr(host->data, ']', host->size) == NULL;
}

static enum address_problem split(struct view text, bool allow_port_zero, struct view *host, uint16_t *port)
{
    struct view rest;
    if (!cut_host(text, host, &rest))
        return ADDRESS_BAD;
    if (rest.size == 0)
        return ADDRESS_NO_PORT;
    /* A second colon is a v6 address without brackets, or a URL. */
    if (rest.data[0] != ':' || memchr(rest.data + 1, ':', rest.size - 1) != NULL)
        return ADDRESS_BAD;
    if (!parse_port(mesh__view(rest.data + 1, rest.size - 1), port) || (*port == 0 && !allow_port_zero))
        return ADDRESS_BAD_PORT;
    return ADDRESS_OK;
}

enum address_problem mesh__address_split(struct view text, struct view *host, uint16_t *port)
{
    return split(text, false, host, port);
}

/* Labels of letters, digits, '-' and '_' of at most 63 bytes, 253 in all, a dot at the end allowed. A name whose last
 * label is a number is an IPv4 address gone wrong. */
static bool is_host_name(struct view host)
{
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size == 0 || host.size > 253)
        return false;
    size_t label = 0;
    bool numeric = true;
    for (size_t i = 0; i < host.size; i++) {
        char c = host.data[i];
        char lower = mesh__ascii_lower(c);
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            numeric = true;
            continue;
        }
        if (!is_digit(c) && !(lower >= 'a' && lower <= 'z') && c != '-' && c != '_')
            return false;
        numeric = numeric && is_digit(c);
        if (++label > 63)
            return false;
    }
    return label > 0 && !numeric;
}

/* "fe80::1" or "fe80::1%2"; a zone only where it says something, and as a number, since names need the system. */
static bool parse_v6(struct view host, struct in6_addr *ip, uint32_t *zone)
{
    char copy[INET6_ADDRSTRLEN];
    const char *percent = memchr(host.data, '%', host.size);
    size_t size = percent ? (size_t)(percent - host.data) : host.size;
    if (size >= sizeof(copy))
        return false;
    memcpy(copy, host.data, size);
    copy[size] = '\0';
    if (strlen(copy) != size || inet_pton(AF_INET6, copy, ip) != 1)
        return false;
    *zone = 0;
    if (percent == NULL)
        return true;
    uint16_t number;
    if (!IN6_IS_ADDR_LINKLOCAL(ip) || !parse_port(mesh__view(percent + 1, host.size - size - 1), &number) ||
        number == 0)
        return false;
    *zone = number;
    return true;
}

static bool parse_v4(struct view host, struct in_addr *ip)
{
    char copy[INET_ADDRSTRLEN];
    if (host.size >= sizeof(copy))
        return false;
    memcpy(copy, host.data, host.size);
    copy[host.size] = '\0';
    return strlen(copy) == host.size && inet_pton(AF_INET, copy, ip) == 1;
}

static void set_v4(struct address *out, const void *ip, uint16_t port)
{
    memset(out, 0, sizeof(*out));
    out->socket.v4.sin_family = AF_INET;
    out->socket.v4.sin_port = htons(port);
    memcpy(&out->socket.v4.sin_addr, ip, 4);
    out->socket_size = sizeof(out->socket.v4);
    char text[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, ip, text, sizeof(text));
    (void)snprintf(out->text, sizeof(out->text), "%s:%u", text, (unsigned)port);
}

static void set_v6(struct address *out, const void *ip, uint16_t port, uint32_t zone)
{
    memset(out, 0, sizeof(*out));
    out->socket.v6.sin6_family = AF_INET6;
    out->socket.v6.sin6_port = htons(port);
    memcpy(&out->socket.v6.sin6_addr, ip, 16);
    out->socket.v6.sin6_scope_id = zone;
    out->socket_size = sizeof(out->socket.v6);
    char text[INET6_ADDRSTRLEN];
    (void)inet_ntop(AF_INET6, ip, text, sizeof(text));
    if (zone != 0)
        (void)snprintf(out->text, sizeof(out->text), "[%s%%%u]:%u", text, (unsigned)zone, (unsigned)port);
    else
        (void)snprintf(out->text, sizeof(out->text), "[%s]:%u", text, (unsigned)port);
}

/* An absolute path without control characters that fits with its NUL. */
static bool parse_unix(struct view path, struct address *out)
{
    memset(out, 0, sizeof(*out));
    if (path.size < 2 || path.data[0] != '/' || path.size >= sizeof(out->socket.local.sun_path))
        return false;
    for (size_t i = 0; i < path.size; i++)
        if ((unsigned char)path.data[i] < 0x20 || path.data[i] == 0x7f)
            return false;
    out->socket.local.sun_family = AF_UNIX;
    memcpy(out->socket.local.sun_path, path.data, path.size);
    out->socket_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.size + 1);
    (void)snprintf(out->text, sizeof(out->text), "unix:%.*s", (int)path.size, path.data);
    return true;
}

enum address_problem mesh__address_parse(struct view text, bool allow_port_zero, struct address *out)
{
    if (text.size >= unix_prefix.size && memcmp(text.data, unix_prefix.data, unix_prefix.size) == 0 &&
        text.size > unix_prefix.size && !is_digit(text.data[unix_prefix.size])) {
        struct view path = { text.data + unix_prefix.size, text.size - unix_prefix.size };
        return parse_unix(path, out) ? ADDRESS_OK : ADDRESS_BAD;
    }
    struct view host;
    uint16_t port;
    enum address_problem problem = split(text, allow_port_zero, &host, &port);
    if (problem == ADDRESS_BAD)
        return ADDRESS_BAD;
    bool brackets = text.data[0] == '[';
    struct in_addr v4;
    struct in6_addr v6;
    uint32_t zone = 0;
    bool is_v4 = !brackets && parse_v4(host, &v4);
    bool is_v6 = brackets && parse_v6(host, &v6, &zone);
    if (!is_v4 && !is_v6 && (brackets || !is_host_name(host)))
        return ADDRESS_BAD;
    if (problem != ADDRESS_OK)
        return problem;
    if (is_v4)
        set_v4(out, &v4, port);
    else if (is_v6)
        set_v6(out, &v6, port, zone);
    else
        return ADDRESS_IS_NAME;
    return ADDRESS_OK;
}

void mesh__address_from_ip(int family, const void *ip, uint16_t port, struct address *out)
{
    if (family == AF_INET)
        set_v4(out, ip, port);
    else
        set_v6(out, ip, port, 0);
}

/* The text of a Unix socket: "unix:/path", "unix:@name" for an abstract one, "unix:" for one without a name. */
static void set_unix(struct address *out, const struct sockaddr *socket, socklen_t size)
{
    memset(out, 0, sizeof(*out));
    if (size > sizeof(out->socket.local))
        size = sizeof(out->socket.local);
    memcpy(&out->socket.local, socket, size);
    out->socket_size = size;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t room = size > head ? size - head : 0;
    const char *path = out->socket.local.sun_path;
    if (room > 0 && path[0] == '\0')
        (void)snprintf(out->text, sizeof(out->text), "unix:@%.*s", (int)(room - 1), path + 1);
    else
        (void)snprintf(out->text, sizeof(out->text), "unix:%.*s", (int)room, path);
}

void mesh__address_from_socket(const struct sockaddr *socket, socklen_t size, struct address *out)
{
    if (socket->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, socket, sizeof(v4));
        set_v4(out, &v4.sin_addr, ntohs(v4.sin_port));
    } else if (socket->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, socket, sizeof(v6));
        uint32_t zone = IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) ? v6.sin6_scope_id : 0;
        set_v6(out, &v6.sin6_addr, ntohs(v6.sin6_port), zone);
    } else {
        set_unix(out, socket, size);
    }
}

uint16_t mesh__address_port(const struct address *address)
{
    switch (address->socket.any.sa_family) {
    case AF_INET:
        return ntohs(address->socket.v4.sin_port);
    case AF_INET6:
        return ntohs(address->socket.v6.sin6_port);
    default:
        return 0;
    }
}
