/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - an endpoint's address: IPv4, IPv6 or Unix socket, from text and to canonical text. No I/O. */
#ifndef MESH__WIRE_ADDRESS_H
#define MESH__WIRE_ADDRESS_H

#include "base/view.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_TEXT_MAX 128

/* Compared and hashed by `text`, which is canonical: "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80", "unix:/run/x". */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } socket;
    socklen_t socket_size;
    char text[ADDRESS_TEXT_MAX];
};

enum address_problem {
    ADDRESS_OK,
    ADDRESS_IS_NAME, /* well-formed "host:port" whose host is a name, not an IP literal */
    ADDRESS_NO_PORT,
    ADDRESS_BAD_PORT, /* not 0 to 65535 (0 only where `allow_port_zero`) */
    ADDRESS_BAD       /* anything else: brackets, an empty host, a Unix path too long */
};

/* Reads "1.2.3.4:80", "[::1]:80" or "unix:/path". */
enum address_problem mesh__address_parse(struct view text, bool allow_port_zero, struct address *out);

/* Splits "name:port" (also "1.2.3.4:80" and "[v6]:80") without judging the host; the host comes without brackets. */
enum address_problem mesh__address_split(struct view text, struct view *host, uint16_t *port);

/* Its port; 0 for a Unix socket. */
uint16_t mesh__address_port(const struct address *);

/* Builds one from an IP address in network order (4 or 16 bytes) and a port. */
void mesh__address_from_ip(int family, const void *ip, uint16_t port, struct address *out);

/* Builds one from what accept() or getsockname() gave. */
void mesh__address_from_socket(const struct sockaddr *socket, socklen_t size, struct address *out);

#endif
