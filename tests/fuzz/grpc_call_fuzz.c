/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_call_fuzz.c - unary gRPC calls whose response has any bytes as its body: one message comes out where there is
 * one, and the outcome is the same in whatever pieces they come. */
#define FUZZ_NAME "grpc_call"
#define FUZZ_ROUNDS 30000
#define FUZZ_WORDS "\1", "\2", "\5", "hello", "\377\377\377\377"
#include "fuzz_main.h"

#include "api/grpc_scene.h"

#include <mesh/call.h>

enum { MOST = 2000 }; /* max_body */

struct outcome {
    mesh_status code;
    int32_t grpc_status;
    struct buf body;
};

/* What has to come of it; `code` is MESH_OK, or something else. */
static struct outcome expect(const uint8_t *data, size_t size, int32_t said)
{
    struct outcome outcome = { said >= 0 ? MESH_OK : MESH_PROTOCOL, said, { 0 } };
    bool one = size >= GRPC_FRAME_HEAD && data[0] == 0 && data[1] == 0 && data[2] == 0 &&
               (size_t)(data[3] << 8 | data[4]) == size - GRPC_FRAME_HEAD && size - GRPC_FRAME_HEAD <= MOST;
    if (said == MESH_GRPC_OK && !one)
        outcome.code = MESH_PROTOCOL;
    mesh__buf_init(&outcome.body, &mesh__mem_system, 1 << 20);
    if (said == MESH_GRPC_OK && one)
        mesh__buf_append(&outcome.body, data + GRPC_FRAME_HEAD, size - GRPC_FRAME_HEAD);
    return outcome;
}

static struct outcome call(const uint8_t *data, size_t size, int32_t said, size_t piece)
{
    char trailers[32];
    (void)snprintf(trailers, sizeof(trailers), "grpc-status: %d", (int)said);
    const struct grpc_answer answer = { 200, GRPC, { (const char *)data, size }, trailers, false, 0 };
    mesh_request request = grpc_scene_request("ask");
    grpc_scene_answer(&answer, 1);
    grpc_scene.peer.piece = piece;
    mesh_result *result = grpc_scene_call(&request);
    struct outcome outcome = { mesh_result_code(result), mesh_result_grpc_status(result), { 0 } };
    mesh__buf_init(&outcome.body, &mesh__mem_system, 1 << 20);
    mesh__buf_append(&outcome.body, mesh_result_body(result), mesh_result_body_size(result));
    FUZZ_CHECK(mesh_result_message(result)[0] != '\0');
    mesh_result_free(result);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MOST + GRPC_FRAME_HEAD)
        return 0; /* two things are wrong with those, and which is seen first depends on the pieces */
    if (grpc_scene.client == NULL) {
        grpc_scene_begin();
        (void)grpc_scene_open("'10.0.0.1:80'", HTTP2 ", 'max_body': '2000B', 'circuit_breaker': {'enabled': false}");
    }
    int32_t said = size > 0 && data[size - 1] % 4 == 3 ? data[size - 1] % 17 : 0;
    struct outcome wanted = expect(data, size, said);
    struct outcome whole = call(data, size, said, 0), cut = call(data, size, said, 1 + size % 7);
    FUZZ_CHECK(whole.code == cut.code && whole.grpc_status == cut.grpc_status);
    /* An error is as good as its message's absence: but what breaks the framing breaks the call. */
    FUZZ_CHECK(whole.code != MESH_OK || (wanted.code == MESH_OK && whole.grpc_status == wanted.grpc_status));
    FUZZ_CHECK(said != MESH_GRPC_OK || (whole.code == MESH_OK) == (wanted.code == MESH_OK));
    FUZZ_CHECK(whole.code == MESH_OK || whole.grpc_status != MESH_GRPC_OK);
    struct view bodies[] = { { whole.body.data, whole.body.size }, { cut.body.data, cut.body.size } };
    FUZZ_CHECK(mesh__view_equal(bodies[0], bodies[1]));
    FUZZ_CHECK(mesh__view_equal(bodies[0], mesh__view(wanted.body.data, wanted.body.size)));
    mesh__buf_fini(&wanted.body);
    mesh__buf_fini(&whole.body);
    mesh__buf_fini(&cut.body);
    return 0;
}
