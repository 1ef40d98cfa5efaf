/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_scene.c - the client's clock, its memory, and its turns. */
#include "api/grpc_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START (1000 * NANOS_S)

struct grpc_scene grpc_scene;

static mesh_nanos read_now(const struct world *world)
{
    (void)world;
    return grpc_scene.now;
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

static bool fails(void)
{
    grpc_scene.allocations++;
    return grpc_scene.fail_at > 0 && grpc_scene.allocations >= grpc_scene.fail_at;
}

static void *take(size_t bytes, void *user)
{
    (void)user;
    return fails() ? NULL : malloc(bytes);
}

static void *resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    return fails() ? NULL : realloc(block, bytes);
}

static void give(void *block, void *user)
{
    (void)user;
    free(block);
}

void grpc_scene_begin(void)
{
    memset(&grpc_scene, 0, sizeof(grpc_scene));
    grpc_scene.world = (struct world){ read_now, read_unix, read_random, NULL, NULL };
    grpc_scene.now = START;
    grpc_scene.memory = mesh__memory_new(&grpc_scene.world);
    NEED(grpc_scene.memory);
    grpc_peer_init(&grpc_scene.peer);
    grpc_peer_listen(&grpc_scene.peer, grpc_scene.memory, "10.0.0.1:80");
}

void grpc_scene_end(void)
{
    mesh_client_free(grpc_scene.client);
    mesh__memory_free(grpc_scene.memory);
    grpc_peer_fini(&grpc_scene.peer);
}

mesh_status grpc_scene_open(const char *endpoints, const char *members)
{
    static mesh_allocator allocator = { sizeof(allocator), 0, take, resize, give, NULL };
    char text[600];
    mesh_config *config;
    mesh_error *error = NULL;
    (void)snprintf(text, sizeof(text), "{'endpoints': [%s], 'timeout': '10s'%s}", endpoints, members);
    for (char *at = text; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    NEED(mesh_config_new(&config) == MESH_OK);
    NEED(mesh_config_set_json(config, "/services/test", text) == MESH_OK);
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = MESH_EXTERNAL;
    options.allocator = &allocator;
    options.on_span = grpc_scene.on_span;
    mesh_status status =
        mesh__client_open(mesh__memory_world(grpc_scene.memory), config, &options, &grpc_scene.client, &error);
    NEED(status == MESH_OK || grpc_scene.fail_at > 0);
    mesh_error_free(error);
    mesh_config_free(config);
    return status;
}

void grpc_scene_answer(const struct grpc_answer *answers, size_t most)
{
    struct grpc_peer *peer = &grpc_scene.peer;
    peer->answers = answers;
    for (peer->count = 0; peer->count < most && answers[peer->count].status != 0; peer->count++)
        ;
    peer->requests = 0;
}

mesh_result *grpc_scene_next(void)
{
    for (int turns = 0; turns < 10000; turns++) {
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count = 0;
        NEED(mesh_loop_process(grpc_scene.client, 0) == MESH_OK);
        if (mesh_client_next(grpc_scene.client, &completion, 1, 0, &count) == MESH_OK)
            return completion.result;
        int64_t timeout = mesh_loop_timeout(grpc_scene.client, 0);
        NEED(timeout >= 0); /* else nothing is due, and there is no result */
        grpc_scene.now += timeout;
    }
    (void)fputs("the call never ended\n", stderr);
    abort();
}

mesh_result *grpc_scene_call(const mesh_request *request)
{
    mesh_status status = mesh_call_start(grpc_scene.client, "test", request, NULL, NULL);
    if (status == MESH_NO_MEMORY && grpc_scene.fail_at > 0)
        return NULL;
    NEED(status == MESH_OK);
    return grpc_scene_next();
}

mesh_request grpc_scene_request(const char *message)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.path = "/pkg.Echo/Say";
    request.body = message;
    request.body_size = message ? strlen(message) : 0;
    request.flags = MESH_GRPC;
    return request;
}
