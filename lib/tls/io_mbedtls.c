/* SPDX-License-Identifier: Apache-2.0 */
/* io_mbedtls.c - the bytes below. mbedTLS asks for a record in two reads, five bytes of head and then the rest: what it
 * asks for in small pieces is read ahead, what is large goes straight to its buffer. */
#include "tls/tls_mbedtls.h"

#include <errno.h>

/* Any failure below is the end for mbedTLS; which one it was is in the connection. */
static int failed(struct tls_connection *connection, ssize_t error)
{
    connection->io_error = (int)-error;
    return MBEDTLS_ERR_SSL_CONN_EOF;
}

int mesh__tls_io_write(void *user, const unsigned char *bytes, size_t size)
{
    struct tls_connection *connection = user;
    connection->wrote = true;
    if (connection->io == NULL)
        return failed(connection, -ENOTCONN);
    ssize_t moved = connection->io->write(connection->user, bytes, size);
    if (moved == -EAGAIN) {
        connection->blocked = TLS_WANTS_WRITE;
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    if (moved < 0)
        connection->write_broken = true;
    return moved < 0 ? failed(connection, moved) : (int)moved;
}

/* As the callback below, and marks the end. */
static ssize_t read_below(struct tls_connection *connection, void *bytes, size_t size)
{
    if (connection->io == NULL)
        return -ENOTCONN;
    ssize_t moved = connection->io->read(connection->user, bytes, size);
    if (moved == 0)
        connection->ended = true;
    return moved;
}

static ssize_t fill_ahead(struct tls_connection *connection)
{
    ssize_t moved = read_below(connection, connection->ahead, sizeof(connection->ahead));
    connection->ahead_begin = 0;
    connection->ahead_end = moved > 0 ? (uint16_t)moved : 0;
    return moved;
}

int mesh__tls_io_read(void *user, unsigned char *bytes, size_t size)
{
    struct tls_connection *connection = user;
    ssize_t moved = 1;
    if (!connection->open)
        mesh__tls_flight_sent(&connection->ssl);
    if (connection->ahead_begin == connection->ahead_end) {
        if (size >= sizeof(connection->ahead))
            moved = read_below(connection, bytes, size);
        else
            moved = fill_ahead(connection);
    }
    if (moved == -EAGAIN) {
        connection->blocked = TLS_WANTS_READ;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    if (moved < 0)
        return failed(connection, moved);
    if (connection->ahead_begin == connection->ahead_end)
        return (int)moved;
    size_t there = (size_t)(connection->ahead_end - connection->ahead_begin);
    size_t taken = there < size ? there : size;
    memcpy(bytes, connection->ahead + connection->ahead_begin, taken);
    connection->ahead_begin = (uint16_t)(connection->ahead_begin + taken);
    return (int)taken;
}

/* A record in the clear: type 21, version 3.x, two bytes: level and description. */
bool mesh__tls_io_find_alert(struct tls_connection *connection)
{
    if (connection->ahead_begin == connection->ahead_end && fill_ahead(connection) <= 0)
        return false;
    const unsigned char *at = connection->ahead + connection->ahead_begin;
    if (connection->ahead_end - connection->ahead_begin < 7 || at[0] != MBEDTLS_SSL_MSG_ALERT || at[1] != 3 ||
        at[3] != 0 || at[4] != 2 || at[5] != MBEDTLS_SSL_ALERT_LEVEL_FATAL)
        return false;
    mesh__tls_report_alert(connection, at[6]);
    return true;
}
