/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_http2.c - frames apart and together, and a client that jumps from one thing that is due to the next. */
#include "fault/hostile_http2.h"

#include "client/client.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define PREFACE_SIZE 24

struct hostile_http2 h2;

static struct world our_clock;
static struct memory_network *network;

static mesh_nanos read_now(const struct world *world)
{
    (void)world;
    return h2.now;
}

static int64_t read_unix(const struct world *world)
{
    return INT64_C(1700000000) * NANOS_S + read_now(world);
}

static uint64_t read_random(const struct world *world)
{
    (void)world;
    return 7;
}

/* ---- frames ---- */

static void put_number(unsigned char *at, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(number >> (24 - 8 * i));
}

static uint32_t number_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void say_bytes(struct hostile_end *end, const void *bytes, size_t size)
{
    if (end->connection != NULL)
        mesh__memory_send(end->connection, bytes, size, 0);
}

void say_frame(struct hostile_end *end, int type, int flags, uint32_t stream, const void *payload, size_t size)
{
    static unsigned char bytes[9 + (1 << 20)];
    ck_assert_uint_le(9 + size, sizeof(bytes));
    put_number(bytes, (uint32_t)size << 8 | (uint32_t)type);
    bytes[4] = (unsigned char)flags;
    put_number(bytes + 5, stream);
    if (size > 0)
        memcpy(bytes + 9, payload, size);
    say_bytes(end, bytes, 9 + size);
}

void say_settings(struct hostile_end *end, uint32_t identifier, uint32_t value)
{
    unsigned char entry[6] = { (unsigned char)(identifier >> 8), (unsigned char)identifier };
    put_number(entry + 2, value);
    say_frame(end, SETTINGS, 0, 0, entry, sizeof(entry));
}

static void say_number(struct hostile_end *end, int type, uint32_t stream, uint32_t number)
{
    unsigned char bytes[4];
    put_number(bytes, number);
    say_frame(end, type, 0, stream, bytes, sizeof(bytes));
}

void say_reset(struct hostile_end *end, uint32_t stream, uint32_t code)
{
    say_number(end, RST_STREAM, stream, code);
}

void say_window(struct hostile_end *end, uint32_t stream, uint32_t size)
{
    say_number(end, WINDOW_UPDATE, stream, size);
}

void say_goaway(struct hostile_end *end, uint32_t last, uint32_t code)
{
    unsigned char bytes[8];
    put_number(bytes, last);
    put_number(bytes + 4, code);
    say_frame(end, GOAWAY, 0, 0, bytes, sizeof(bytes));
}

void say_head(struct hostile_end *end, uint32_t stream)
{
    say_frame(end, HEADERS, END_HEADERS, stream, "\x88", 1);
}

void say_ok(struct hostile_end *end, uint32_t stream)
{
    say_frame(end, HEADERS, END_HEADERS | END_STREAM, stream, "\x88", 1);
}

bool is_request(const struct hostile_frame *frame)
{
    return (frame->type == HEADERS || frame->type == DATA) && (frame->flags & END_STREAM) != 0;
}

void answer_all(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (is_request(frame))
        say_ok(end, frame->stream);
}

/* ---- a connection ---- */

static void *end_opened(void *user, struct memory_connection *connection)
{
    ck_assert_uint_lt(h2.count, HOSTILE_ENDS);
    struct hostile_end *end = &h2.ends[h2.count++];
    *end = (struct hostile_end){ .connection = connection, .endpoint = user == (void *)&network ? 0 : 1 };
    mesh__buf_init(&end->in, &mesh__mem_system, 1 << 24);
    return end;
}

static void take_frame(struct hostile_end *end, const struct hostile_frame *frame)
{
    if ((frame->type == SETTINGS || frame->type == PING) && (frame->flags & ACK) != 0) {
        end->acks++;
        return;
    }
    end->counts[frame->type & 15]++;
    if (frame->type == HEADERS && frame->stream > end->last)
        end->last = frame->stream;
    if (frame->type == DATA)
        end->data += frame->size;
    if (frame->type == RST_STREAM || frame->type == GOAWAY) {
        end->code = number_at(frame->payload + (frame->type == GOAWAY ? 4 : 0));
        end->code_stream = frame->stream;
    }
    if (frame->type == SETTINGS && h2.settings != NULL)
        say_frame(end, SETTINGS, ACK, 0, NULL, 0);
    if (h2.script != NULL)
        h2.script(end, frame);
}

/* Takes the preface off, or an HTTP/1.1 request, and says what a server says first. */
static void greet(struct hostile_end *end)
{
    end->greeted = true;
    end->http1 = memcmp(end->in.data, "PRI", 3) != 0;
    if (!end->http1)
        mesh__buf_consume(&end->in, PREFACE_SIZE);
    if (!end->http1 && h2.settings != NULL)
        say_frame(end, SETTINGS, 0, 0, h2.settings, h2.settings_size);
}

static void end_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    struct hostile_end *end = state;
    (void)connection;
    ck_assert(mesh__buf_append(&end->in, bytes, size));
    if (!end->greeted && end->in.size >= PREFACE_SIZE)
        greet(end);
    if (end->http1) {
        mesh__buf_clear(&end->in);
        say_bytes(end, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 40);
    }
    while (end->greeted && end->in.size >= 9) {
        const unsigned char *head = (const unsigned char *)end->in.data;
        struct hostile_frame frame = { head[3], head[4], number_at(head + 5), head + 9, number_at(head) >> 8 };
        if (end->in.size < 9 + frame.size)
            break;
        take_frame(end, &frame);
        mesh__buf_consume(&end->in, 9 + frame.size);
    }
}

static void end_closed(void *state, struct memory_connection *connection)
{
    struct hostile_end *end = state;
    (void)connection;
    end->connection = NULL;
    mesh__buf_fini(&end->in);
}

/* ---- the scene ---- */

void hostile_http2_set(const uint32_t (*entries)[2], size_t count)
{
    static unsigned char bytes[6 * 16];
    ck_assert_uint_le(count, 16);
    for (size_t i = 0; i < count; i++) {
        bytes[6 * i] = (unsigned char)(entries[i][0] >> 8);
        bytes[6 * i + 1] = (unsigned char)entries[i][0];
        put_number(bytes + 6 * i + 2, entries[i][1]);
    }
    h2.settings = (const char *)bytes;
    h2.settings_size = 6 * count;
}

static void open_client(const char *json)
{
    mesh_config *config;
    mesh_error *error = NULL;
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = MESH_EXTERNAL;
    options.seed = 1;
    ck_assert_msg(mesh_config_parse(json, strlen(json), NULL, &config, &error) == MESH_OK, "%s",
                  mesh_error_text(error));
    ck_assert_msg(mesh__client_open(mesh__memory_world(network), config, &options, &h2.client, &error) == MESH_OK, "%s",
                  mesh_error_text(error));
    mesh_config_free(config);
}

void hostile_http2_open(int endpoints, const char *members, hostile_http2_script *script)
{
    static const struct memory_peer peer = { end_opened, end_received, end_closed };
    char json[2048];
    h2 = (struct hostile_http2){ .script = script, .settings = "", .now = 1000 * NANOS_S };
    our_clock = (struct world){ read_now, read_unix, read_random, NULL, NULL };
    network = mesh__memory_new(&our_clock);
    ck_assert_ptr_nonnull(network);
    ck_assert(mesh__memory_listen(network, HOSTILE_A, &peer, (void *)&network));
    ck_assert(mesh__memory_listen(network, HOSTILE_B, &peer, NULL));
    int size = snprintf(json, sizeof(json),
                        "{'services':{'s':{'endpoints':['%s'%s],'protocol':'http2','timeout':'1h',"
                        "'balancer':'round-robin'%s%s}}}",
                        HOSTILE_A, endpoints > 1 ? ",'" HOSTILE_B "'" : "", *members ? "," : "", members);
    ck_assert_int_lt(size, (int)sizeof(json));
    for (int i = 0; i < size; i++)
        json[i] = json[i] == '\'' ? '"' : json[i];
    open_client(json);
}

void hostile_http2_close(void)
{
    mesh_client_free(h2.client);
    h2.client = NULL;
    for (uint32_t i = 0; i < h2.count; i++)
        ck_assert_msg(h2.ends[i].connection == NULL, "connection %u was not closed", i);
    mesh__memory_free(network);
}

void hostile_http2_start(const char *method, const char *body, size_t body_size)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.method = method;
    request.body = body;
    request.body_size = body_size;
    ck_assert_int_eq(mesh_call_start(h2.client, "s", &request, NULL, NULL), MESH_OK);
}

/* Lets the client go on, at most until then. A result ends it, if asked for. */
static mesh_result *run(mesh_nanos until, bool for_result)
{
    for (int turns = 0; turns < 1000000; turns++) {
        ck_assert_int_eq(mesh_loop_process(h2.client, 0), MESH_OK);
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count = 0;
        if (for_result && mesh_client_next(h2.client, &completion, 1, 0, &count) == MESH_OK)
            return completion.result;
        int64_t timeout = mesh_loop_timeout(h2.client, 0);
        if (timeout == 0)
            continue;
        if (timeout < 0 || timeout > until - h2.now) {
            h2.now = until;
            ck_assert_int_eq(mesh_loop_process(h2.client, 0), MESH_OK);
            return NULL;
        }
        h2.now += timeout;
    }
    ck_abort_msg("the client turns without end");
    return NULL;
}

mesh_result *hostile_http2_next(void)
{
    mesh_result *result = run(h2.now + 10000 * NANOS_S, true);
    ck_assert_msg(result != NULL, "no call has ended");
    return result;
}

void hostile_http2_pass(mesh_nanos time)
{
    (void)run(h2.now + time, false);
}

mesh_result *hostile_http2_call(const char *method)
{
    hostile_http2_start(method, NULL, 0);
    return hostile_http2_next();
}

uint32_t hostile_http2_responses(void)
{
    uint32_t all = 0, count = 0;
    mesh_completion completion = MESH_COMPLETION_INIT;
    while (mesh_client_next(h2.client, &completion, 1, 0, &count) == MESH_OK) {
        ck_assert_msg(completion.status == MESH_OK, "%s", mesh_result_message(completion.result));
        ck_assert_int_eq(mesh_result_status(completion.result), 200);
        mesh_result_free(completion.result);
        all++;
    }
    return all;
}
