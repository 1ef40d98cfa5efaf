/* SPDX-License-Identifier: Apache-2.0 */
/* http2_memory_test.c - what connections cost in memory: idle, in steady state, and when there is none. */
#include "http2_pair.h"

#include <check.h>
#include <stdio.h>

#define PARENT_SIZE 55 /* of a traceparent */

/* An allocator that counts, and fails from a chosen allocation on, once or for ever. */
static struct {
    size_t live, blocks, count;
    size_t fail_at; /* 0: never */
    bool for_ever;
} heap;

static void *count_allocate(size_t size, void *user)
{
    (void)user;
    heap.count++;
    if (heap.fail_at > 0 && (heap.for_ever ? heap.count >= heap.fail_at : heap.count == heap.fail_at))
        return NULL;
    size_t *block = malloc(size + 16);
    if (block == NULL)
        return NULL;
    block[0] = size;
    heap.live += size;
    heap.blocks++;
    return block + 2;
}

static void count_release(void *bytes, void *user)
{
    (void)user;
    size_t *block = (size_t *)bytes - 2;
    heap.live -= block[0];
    heap.blocks--;
    free(block);
}

static void *count_resize(void *bytes, size_t old, size_t size, void *user)
{
    void *moved = count_allocate(size, user);
    if (moved == NULL)
        return NULL;
    memcpy(moved, bytes, old < size ? old : size);
    count_release(bytes, user);
    return moved;
}

static const struct mem counting = { count_allocate, count_resize, count_release, NULL };

static bool open_peer(struct peer *peer, enum http2_role role)
{
    struct http2_config config = { .role = role, .limits = peer_limits, .max_streams = role == HTTP2_SERVER ? 100 : 0 };
    return peer_open_with(peer, &counting, &config);
}

static bool answer(struct peer *peer, struct http2_stream *stream, const struct http1_head *head)
{
    static const mesh_header headers[] = { { "content-type", 12, "application/json", 16 } };
    static const struct http1_field_group group = { headers, 1 };
    struct http2_response response = { .status = 200,
                                       .groups = &group,
                                       .group_count = 1,
                                       .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                       .body = body_of("{\"answer\": 42}") };
    (void)peer;
    (void)head;
    return mesh__http2_respond(stream, &response);
}

/* A call as the client makes them: some fields always the same, one different each time. */
static bool call(struct peer *client, int number)
{
    char parent[PARENT_SIZE + 1];
    (void)snprintf(parent, sizeof parent, "00-4bf92f3577b34da6a3ce929d%08x-00f067aa0ba902b7-01", (unsigned)number);
    const mesh_header headers[] = { { "content-type", 12, "application/json", 16 },
                                    { "user-agent", 10, "shop/1.0", 8 },
                                    { "traceparent", 11, parent, PARENT_SIZE } };
    const struct http1_field_group group = { headers, 3 };
    struct http2_request request = {
        VIEW_LITERAL("POST"), VIEW_LITERAL("/charge"), VIEW_LITERAL("payment"), &group, 1, body_of("{\"amount\": 100}"),
        peer_limits
    };
    struct http2_stream *stream;
    return mesh__http2_request(client->conn, &request, client, &stream) == MESH_OK;
}

/* Moves bytes without taking memory. */
static void pass(struct peer *from, struct peer *to)
{
    mesh__http2_write(from->conn, &from->out, SIZE_MAX);
    mesh__http2_read(to->conn, from->out.data, from->out.size);
    mesh__buf_clear(&from->out);
}

static void rounds(struct peer *client, struct peer *server, int count, int streams)
{
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < streams; j++)
            ck_assert(call(client, i * streams + j));
        pass(client, server);
        pass(server, client);
        mesh__buf_clear(&client->log);
        mesh__buf_clear(&server->log);
    }
}

/* No call allocates once as many have been made at once before. */
START_TEST(steady_state)
{
    static const int streams[] = { 1, 10, 100 };
    struct peer client, server;
    ck_assert(open_peer(&client, HTTP2_CLIENT) && open_peer(&server, HTTP2_SERVER));
    client.quiet = server.quiet = true;
    server.on_head = answer;
    pass(&client, &server);
    pass(&server, &client);
    rounds(&client, &server, 3, streams[_i]);
    rounds(&client, &server, 1000 / streams[_i], streams[_i]);
    size_t count = heap.count;
    uint32_t closed = client.closed;
    rounds(&client, &server, 1000 / streams[_i], streams[_i]);
    ck_assert_uint_eq(client.closed - closed, 1000);
    ck_assert_int_eq(client.last_closed.status, MESH_OK);
    ck_assert_msg(heap.count == count, "%zu allocations in 1000 calls", heap.count - count);
    peer_close(&client);
    peer_close(&server);
    ck_assert_uint_eq(heap.blocks, 0);
}
END_TEST

/* A connection that idles after calls holds no more than 28 KiB, the pool's rounding included. */
START_TEST(idle)
{
    struct peer client, server;
    ck_assert(open_peer(&client, HTTP2_CLIENT) && open_peer(&server, HTTP2_SERVER));
    client.quiet = server.quiet = true;
    server.on_head = answer;
    pass(&client, &server);
    pass(&server, &client);
    printf("new: client %zu bytes, server %zu\n", client.pool.used_bytes, server.pool.used_bytes);
    rounds(&client, &server, 100, 1);
    printf("idle after 100 calls: client %zu bytes, server %zu\n", client.pool.used_bytes, server.pool.used_bytes);
    ck_assert_uint_le(client.pool.used_bytes, 28 << 10);
    ck_assert_uint_le(server.pool.used_bytes, 28 << 10);
    for (int i = 0; i < 50; i++)
        ck_assert(call(&client, i));
    pass(&client, &server);
    pass(&server, &client);
    printf("idle after 50 at once: client %zu bytes (%zu kept), server %zu (%zu kept)\n", client.pool.used_bytes,
           client.pool.kept_bytes, server.pool.used_bytes, server.pool.kept_bytes);
    ck_assert_uint_le(client.pool.used_bytes, 28 << 10);
    ck_assert_uint_le(server.pool.used_bytes, 28 << 10);
    peer_close(&client);
    peer_close(&server);
    ck_assert_uint_eq(heap.blocks, 0);
}
END_TEST

/* The whole life of a pair, with some allocation failing; each stream ends at most once. */
static void life(void)
{
    struct peer client, server;
    bool opened = open_peer(&client, HTTP2_CLIENT);
    opened &= open_peer(&server, HTTP2_SERVER);
    server.on_head = answer;
    uint32_t made = 0;
    for (int i = 0; opened && i < 3; i++) {
        for (int j = 0; j < 3; j++)
            made += call(&client, j);
        mesh__http2_write(client.conn, &client.out, 4096);
        mesh__http2_read(server.conn, client.out.data, client.out.size);
        mesh__buf_clear(&client.out);
        mesh__http2_write(server.conn, &server.out, 4096);
        mesh__http2_read(client.conn, server.out.data, server.out.size);
        mesh__buf_clear(&server.out);
    }
    if (opened) {
        mesh__http2_lost(client.conn, MESH_RESET, "closed");
        ck_assert_uint_eq(client.closed, made);
    }
    heap.fail_at = 0;
    peer_close(&client);
    peer_close(&server);
}

START_TEST(torture)
{
    heap.count = 0;
    life();
    size_t count = heap.count;
    ck_assert_uint_gt(count, 20);
    for (size_t i = 1; i <= count; i++) {
        heap.count = 0;
        heap.fail_at = i;
        heap.for_ever = _i == 1;
        life();
        ck_assert_msg(heap.blocks == 0 && heap.live == 0, "allocation %zu of %zu failed: %zu blocks lost", i, count,
                      heap.blocks);
    }
}
END_TEST

START_TEST(pool)
{
    struct http2_pool blocks;
    mesh__http2_pool_init(&blocks, &counting, 100000);
    void *taken[64];
    for (size_t i = 0; i < 64; i++) {
        size_t size = i * i * 10;
        taken[i] = mesh__http2_pool_take(&blocks, size);
        ck_assert(taken[i] != NULL && (uintptr_t)taken[i] % 16 == 0);
        memset(taken[i], (int)i, size);
    }
    for (size_t i = 0; i < 64; i++) {
        unsigned char *moved = mesh__http2_pool_resize(&blocks, taken[i], 2 * i * i * 10 + 1);
        ck_assert_ptr_nonnull(moved);
        for (size_t j = 0; j < i * i * 10; j++)
            ck_assert_uint_eq(moved[j], i);
        taken[i] = mesh__http2_pool_resize(&blocks, moved, i + 1);
        ck_assert_uint_eq(*(unsigned char *)taken[i], i > 0 ? i : *(unsigned char *)taken[i]);
    }
    for (size_t i = 0; i < 64; i++)
        mesh__http2_pool_give(&blocks, taken[i]);
    mesh__http2_pool_give(&blocks, NULL);
    ck_assert_uint_eq(blocks.used_bytes, 0);
    ck_assert_uint_le(blocks.kept_bytes, 100000);
    size_t count = heap.count;
    taken[0] = mesh__http2_pool_take(&blocks, 40);
    ck_assert_uint_eq(heap.count, count);
    mesh__http2_pool_give(&blocks, taken[0]);
    ck_assert_ptr_null(mesh__http2_pool_take(&blocks, SIZE_MAX));
    ck_assert_ptr_null(mesh__http2_pool_take(&blocks, SIZE_MAX / 4));
    mesh__http2_pool_fini(&blocks);
    ck_assert_uint_eq(heap.blocks, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http2_memory");
    TCase *tcase = tcase_create("memory");
    tcase_add_test(tcase, pool);
    tcase_add_loop_test(tcase, steady_state, 0, 3);
    tcase_add_test(tcase, idle);
    tcase_add_loop_test(tcase, torture, 0, 2);
    suite_add_tcase(s, tcase);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
