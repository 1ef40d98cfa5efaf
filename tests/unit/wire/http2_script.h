/* SPDX-License-Identifier: Apache-2.0 */
/* http2_script.h - a client whose server is a script of frames made by hand; for tests. */
#ifndef MESH__TESTS_HTTP2_SCRIPT_H
#define MESH__TESTS_HTTP2_SCRIPT_H

#include "http2_pair.h"

#include <check.h>

static struct peer client;
static struct buf script;

static inline void feed(void)
{
    peer_read(&client, script.data, script.size, SIZE_MAX);
    mesh__buf_clear(&script);
    mesh__buf_clear(&client.out);
    peer_write(&client);
}

/* A client that has sent `requests` GETs, with ids 1, 3, .. */
static inline void open_client(int requests)
{
    peer_open(&client, HTTP2_CLIENT);
    mesh__buf_init(&script, &mesh__mem_system, 1 << 24);
    peer_write(&client);
    frame(&script, SETTINGS, 0, 0, NULL, 0);
    frame(&script, SETTINGS, ACK, 0, NULL, 0);
    feed();
    for (int i = 0; i < requests; i++)
        ck_assert_ptr_nonnull(peer_request(&client, "GET", "/", NULL));
    peer_write(&client);
    peer_told(&client);
}

static inline void close_client(void)
{
    peer_close(&client);
    mesh__buf_fini(&script);
}

static inline void expect(const char *text)
{
    ck_assert_str_eq(peer_told(&client), text);
}

/* The error code of the first frame of this type and stream that was written; -1 when there is none. */
static inline int64_t written_code(int type, uint32_t id)
{
    const unsigned char *at = (const unsigned char *)client.out.data, *end = at + client.out.size;
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        uint32_t stream = (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
        const unsigned char *code = at + 9 + (type == GOAWAY ? 4 : 0);
        if (at[3] == type && stream == id)
            return (int64_t)code[0] << 24 | code[1] << 16 | code[2] << 8 | code[3];
        at += 9 + size;
    }
    return -1;
}

static inline void expect_broken(uint32_t code)
{
    ck_assert_int_eq(mesh__http2_read(client.conn, "", 0), MESH_PROTOCOL);
    ck_assert_int_eq(written_code(GOAWAY, 0), code);
    ck_assert_str_ne(mesh__http2_reason(client.conn), "");
    ck_assert_int_eq(client.last_closed.status, MESH_PROTOCOL);
    ck_assert(mesh__http2_draining(client.conn));
}

static inline void broken_after(uint32_t code)
{
    feed();
    expect_broken(code);
    close_client();
}

#endif
