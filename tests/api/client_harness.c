/* SPDX-License-Identifier: Apache-2.0 */
/* client_harness.c - clients, and the threads that take completions or poll loops. */
#include "api/client_harness.h"

#include "client/client.h"

#include <check.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_CALLS (UNDER_TSAN ? 2 : 10)

void harness_fail(struct harness *harness, const char *file, int line, const char *format, ...)
{
    pthread_mutex_lock(&harness->lock);
    if (harness->message[0] == '\0') {
        const char *slash = strrchr(file, '/');
        int size = snprintf(harness->message, sizeof(harness->message), "%s:%d: ", slash ? slash + 1 : file, line);
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(harness->message + size, sizeof(harness->message) - (size_t)size, format, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&harness->lock);
}

/* ---- completions ---- */

void harness_take(const mesh_completion *completion)
{
    struct ticket *ticket = completion->user;
    struct harness *harness = ticket->harness;
    EXPECT_INT(harness, completion->kind, MESH_COMPLETION_DONE);
    EXPECT_INT(harness, completion->status, mesh_result_code(completion->result));
    EXPECT(harness, completion->id == mesh_result_id(completion->result), "another id in completion and result");
    ticket->result = completion->result;
    EXPECT(harness, atomic_fetch_add(&ticket->completions, 1) == 0, "a call completed twice");
    sem_post(&ticket->done);
}

static void on_completion(const mesh_completion *completion, void *user)
{
    struct harness *harness = user;
    harness_take(completion);
    if (harness->on_callback)
        harness->on_callback(harness);
}

void harness_use_callback(struct harness *harness)
{
    harness->options.on_completion = on_completion;
}

/* Takes up to `capacity` completions, at most 8; false when there will be no more. */
static bool take_some(struct harness *harness, uint32_t capacity, int64_t timeout)
{
    mesh_completion completions[8];
    completions[0] = (mesh_completion)MESH_COMPLETION_INIT;
    uint32_t count;
    mesh_status status = mesh_client_next(harness->client, completions, capacity, timeout, &count);
    EXPECT(harness, status == MESH_OK ? count > 0 : count == 0, "%s with %u completions", mesh_status_name(status),
           count);
    for (uint32_t i = 0; i < count; i++)
        harness_take(&completions[i]);
    if (status != MESH_OK && status != MESH_ECLOSED && (status != MESH_DEADLINE || timeout < 0))
        harness_fail(harness, __FILE__, __LINE__, "mesh_client_next: %s", mesh_status_name(status));
    return status == MESH_OK || status == MESH_DEADLINE;
}

/* Takes all that there is now: an external client's descriptor tells of events, not of what can be taken already. */
static bool take_all(struct harness *harness)
{
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count;
    mesh_status status;
    while ((status = mesh_client_next(harness->client, &completion, 1, 0, &count)) == MESH_OK)
        harness_take(&completion);
    return status == MESH_DEADLINE;
}

/* Waits for the loops and processes them once. */
static void poll_loops(struct harness *harness, uint32_t first, uint32_t count, int64_t at_most)
{
    struct pollfd fds[2];
    int64_t timeout = at_most;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = (struct pollfd){ mesh_loop_fd(harness->client, first + i), POLLIN, 0 };
        int64_t each = mesh_loop_timeout(harness->client, first + i);
        if (each >= 0 && (timeout < 0 || each < timeout))
            timeout = each;
    }
    (void)poll(fds, count, timeout < 0 ? -1 : (int)((timeout + NANOS_MS - 1) / NANOS_MS));
    for (uint32_t i = 0; i < count; i++)
        EXPECT_INT(harness, mesh_loop_process(harness->client, first + i), MESH_OK);
}

/* One step of the thread that drives the client or takes its completions itself. */
static bool pump_inline(struct harness *harness)
{
    if (harness->cell.driver != DRIVER_EXTERNAL)
        return take_some(harness, 4, -1);
    poll_loops(harness, 0, mesh_client_loops(harness->client), -1);
    return take_all(harness);
}

static bool is_inline(const struct harness *harness)
{
    return harness->pump_count == 0 && (harness->cell.driver == DRIVER_NEXT || harness->cell.driver == DRIVER_EXTERNAL);
}

struct pump {
    struct harness *harness;
    uint32_t index;
};

static void *run_pump(void *argument)
{
    struct pump pump = *(struct pump *)argument;
    free(argument);
    struct harness *harness = pump.harness;
    bool more = true;
    while (more) {
        if (harness->cell.driver == DRIVER_EXTERNAL) {
            poll_loops(harness, pump.index, 1, -1);
            more = take_all(harness);
        } else {
            more = take_some(harness, pump.index == 0 ? 1 : 8, -1);
        }
    }
    return NULL;
}

static void start_pumps(struct harness *harness, int count)
{
    for (int i = 0; i < count; i++) {
        struct pump *pump = malloc(sizeof(*pump));
        ck_assert_ptr_nonnull(pump);
        *pump = (struct pump){ harness, (uint32_t)i };
        ck_assert_int_eq(pthread_create(&harness->pumps[i], NULL, run_pump, pump), 0);
        harness->pump_count = i + 1;
    }
}

/* ---- the client ---- */

static void *run_load(void *argument)
{
    struct harness *harness = argument;
    for (int i = 0; i < LOAD_CALLS && !atomic_load(&harness->load_stops); i++) {
        mesh_request request = MESH_REQUEST_INIT;
        request.path = "/echo";
        mesh_result *result = harness_call(harness, "others", &request);
        EXPECT(harness, mesh_result_status(result) == 200, "another thread's call: %s", mesh_result_message(result));
        mesh_result_free(result);
    }
    return NULL;
}

void harness_open_quiet(struct harness *harness, const char *services)
{
    mesh_config *config = harness_config(harness, services);
    mesh_error *error = NULL;
    enum driver driver = harness->cell.driver;
    bool many = harness->cell.threads > 1;
    harness->options.user = harness;
    harness->options.mode = driver == DRIVER_EXTERNAL ? MESH_EXTERNAL : MESH_OWNED;
    harness->options.threads = driver == DRIVER_THREADS ? 2 : 0;
    if (driver == DRIVER_EXTERNAL && many)
        harness->options.shards = 2;
    if (driver == DRIVER_DISPATCHER || (driver == DRIVER_EXTERNAL && many))
        harness->options.on_completion = on_completion;
    mesh_status status = mesh__client_open(harness->world, config, &harness->options, &harness->client, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    harness->pump_count = harness->load_count = 0;
    if (driver == DRIVER_THREADS)
        start_pumps(harness, 1);
    else if (many && (driver == DRIVER_NEXT || driver == DRIVER_EXTERNAL))
        start_pumps(harness, 2);
}

void harness_open(struct harness *harness, const char *services)
{
    harness_open_quiet(harness, services);
    atomic_store(&harness->load_stops, false);
    for (int i = 1; i < harness->cell.threads; i++) {
        ck_assert_int_eq(pthread_create(&harness->load[i - 1], NULL, run_load, harness), 0);
        harness->load_count = i;
    }
}

void harness_stop_load(struct harness *harness)
{
    atomic_store(&harness->load_stops, true);
    for (int i = 0; i < harness->load_count; i++)
        pthread_join(harness->load[i], NULL);
    harness->load_count = 0;
}

void harness_close(struct harness *harness)
{
    harness_stop_load(harness);
    if (harness->client == NULL)
        return;
    EXPECT_INT(harness, mesh_client_close(harness->client, -1), MESH_OK);
    while (is_inline(harness) && pump_inline(harness))
        ;
    for (int i = 0; i < harness->pump_count; i++)
        pthread_join(harness->pumps[i], NULL);
    harness->pump_count = 0;
    mesh_client_free(harness->client);
    harness->client = NULL;
}

/* ---- calls ---- */

static void *run_blocking(void *argument)
{
    struct ticket *ticket = argument;
    (void)mesh_call(ticket->harness->client, ticket->service, &ticket->request, &ticket->result);
    EXPECT(ticket->harness, atomic_fetch_add(&ticket->completions, 1) == 0, "a call completed twice");
    sem_post(&ticket->done);
    return NULL;
}

void harness_start(struct harness *harness, struct ticket *ticket, const char *service, const mesh_request *request)
{
    memset(ticket, 0, sizeof(*ticket));
    ticket->harness = harness;
    ticket->service = service;
    ticket->request = *request;
    sem_init(&ticket->done, 0, 0);
    if (harness->cell.driver != DRIVER_BLOCKING) {
        ticket->started = mesh_call_start(harness->client, service, request, ticket, &ticket->id);
        EXPECT(harness, (ticket->started == MESH_OK) == (ticket->id != 0), "%s with id %llx",
               mesh_status_name(ticket->started), (unsigned long long)ticket->id);
        return;
    }
    ck_assert_int_eq(mesh_token_new(&ticket->token), MESH_OK);
    if (ticket->request.token == NULL)
        ticket->request.token = ticket->token;
    ck_assert_int_eq(pthread_create(&ticket->thread, NULL, run_blocking, ticket), 0);
    ticket->has_thread = true;
}

mesh_result *harness_wait(struct ticket *ticket)
{
    struct harness *harness = ticket->harness;
    if (ticket->started == MESH_OK && is_inline(harness)) {
        bool more = true;
        while (sem_trywait(&ticket->done) != 0) {
            if (!more) {
                harness_fail(harness, __FILE__, __LINE__, "no more completions, and a call has not completed");
                break;
            }
            more = pump_inline(harness);
        }
    } else if (ticket->started == MESH_OK) {
        while (sem_wait(&ticket->done) != 0)
            ;
    }
    if (ticket->has_thread)
        pthread_join(ticket->thread, NULL);
    mesh_token_free(ticket->token);
    sem_destroy(&ticket->done);
    return ticket->result;
}

void harness_cancel(struct ticket *ticket)
{
    if (ticket->id == 0)
        mesh_token_cancel(ticket->token);
    else if (mesh_cancel(ticket->harness->client, ticket->id) == MESH_EINVAL)
        harness_fail(ticket->harness, __FILE__, __LINE__, "mesh_cancel: EINVAL");
}

/* Every answer came over the protocol of the cell, and over what secures it. */
static void expect_protocol(struct harness *harness, const mesh_result *result)
{
    int32_t version = harness->cell.http2 && !harness->falls_back ? 20 : 11;
    for (size_t i = 0; i < mesh_result_attempt_count(result); i++) {
        mesh_attempt attempt = MESH_ATTEMPT_INIT;
        EXPECT_INT(harness, mesh_result_attempt(result, i, &attempt), MESH_OK);
        if (attempt.http_status == 0)
            continue;
        EXPECT_INT(harness, attempt.http_version, version);
        const char *peer = attempt.peer_id ? attempt.peer_id : "nobody";
        EXPECT(harness, strcmp(peer, harness->cell.secured ? "spiffe://shop/test" : "nobody") == 0, "%s", peer);
    }
}

mesh_result *harness_call(struct harness *harness, const char *service, const mesh_request *request)
{
    mesh_result *result = NULL;
    if (harness->cell.driver == DRIVER_BLOCKING || harness->cell.driver == DRIVER_THREADS) {
        mesh_status status = mesh_call(harness->client, service, request, &result);
        EXPECT_INT(harness, status, mesh_result_code(result));
        expect_protocol(harness, result);
        return result;
    }
    struct ticket ticket;
    harness_start(harness, &ticket, service, request);
    result = harness_wait(&ticket);
    EXPECT(harness, ticket.started != MESH_OK || atomic_load(&ticket.completions) == 1, "completed %u times",
           atomic_load(&ticket.completions));
    expect_protocol(harness, result);
    return result;
}

mesh_result *harness_get(struct harness *harness, const char *path)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.path = path;
    return harness_call(harness, "test", &request);
}

void harness_until(struct harness *harness, bool (*condition)(void *), void *user)
{
    while (!condition(user)) {
        if (is_inline(harness) && harness->cell.driver == DRIVER_EXTERNAL) {
            poll_loops(harness, 0, mesh_client_loops(harness->client), NANOS_MS);
            (void)take_all(harness);
        } else if (is_inline(harness))
            (void)take_some(harness, 4, NANOS_MS);
        else
            sched_yield();
    }
}
