/* SPDX-License-Identifier: Apache-2.0 */
/* stream_scene.h - a server that takes bodies in pieces, and a client with streams to it: in one cell of {protocol} x
 * {who drives}. What a test does with a stream it does by the functions here, which wait as the cell's client can.
 *
 * What the server does is said by the path of a request:
 *
 *   /echo        200, and each piece back as it comes; the request's trailers go behind it; x-length of the head is the
 *                request's Content-Length, x-timeout what it said of its deadline
 *   /count       200 once all has been read, with the number of bytes
 *   /pour        200 and POURED bytes
 *   /deaf        200 at once; reads when the test posts `go`, then as /count
 *   /early       403, nothing read
 *   /open        200, then waits for the end of the peer, and posts `gone` when it has been told of a reset
 *   /break       200 and 1000 bytes; the response is dropped when the test posts `go`
 *   /empty       204
 *   /once/KEY    the first request of a KEY: 503 with `refusal` bytes, once all has been read; else as /echo
 *   /messages    gRPC: each message back; the status is that of the header x-status
 *   /rubbish     a gRPC head, and a body that is none
 */
#ifndef TESTS_API_STREAM_SCENE_H
#define TESTS_API_STREAM_SCENE_H

#include <mesh/mesh.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

enum stream_driver { STREAM_OWNED, STREAM_THREADS, STREAM_EXTERNAL, STREAM_DRIVERS };
enum { STREAM_CELLS = 2 * STREAM_DRIVERS };

#define POURED ((size_t)64 * 1024 * 1024)

struct memory_count {
    _Atomic int64_t bytes, most, blocks;
    _Atomic uint64_t allocations;
    _Atomic int64_t countdown; /* the allocation that brings it to 0 fails; from the start 0: none */
};

struct stream_scene {
    bool http2;
    enum stream_driver driver;
    const char *endpoint; /* NULL: the server's */
    const char *service;  /* further members of the service in the config, as ", 'timeout': '1s'" */
    void (*on_completion)(const mesh_completion *, void *user); /* NULL: mesh_client_next() */
    void *user;
    mesh_server *server;
    mesh_client *client;
    struct memory_count memory; /* of the client */
    size_t refusal;
    sem_t go, gone;
    _Atomic uint64_t poured, counted;
    _Atomic uint32_t refused, notes;
    _Atomic uint32_t requests;
};

/* Cell `index` of STREAM_CELLS. Whatever else is wanted is set before it is opened. */
void stream_scene_begin(struct stream_scene *scene, int index);
void stream_scene_open(struct stream_scene *scene);
void stream_scene_close(struct stream_scene *scene);

/* Opens a stream; a POST unless `method` says otherwise. */
mesh_stream *scene_stream(struct stream_scene *scene, const char *method, const char *path, const mesh_request *more);

/* As the functions of mesh/stream.h, waiting for as long as it takes, whoever drives. */
mesh_status scene_write(struct stream_scene *scene, mesh_stream *stream, const void *bytes, size_t size);
mesh_status scene_read(struct stream_scene *scene, mesh_stream *stream, void *space, size_t size, size_t *got);
mesh_status scene_head(struct stream_scene *scene, mesh_stream *stream, const mesh_result **head);
mesh_status scene_send(struct stream_scene *scene, mesh_stream *stream, const void *message, size_t size);
mesh_status scene_receive(struct stream_scene *scene, mesh_stream *stream, const void **message, size_t *size);

/* Reads to the end: how many bytes, and each is that of its position (see pattern()). */
mesh_status scene_drain(struct stream_scene *scene, mesh_stream *stream, uint64_t *size);

/* Lets an external client go on until a note has come. */
void scene_await_note(struct stream_scene *scene);

/* Lets an external client go on until the call of a stream that may still be written to has ended. */
void scene_await_end(struct stream_scene *scene, mesh_stream *stream);

/* Lets the client go on until `event` is posted. */
void scene_await(struct stream_scene *scene, sem_t *event);

/* A call that is no stream, on the same connections; its status. */
int scene_call(struct stream_scene *scene, const char *path);

/* Fills `space` with the bytes of a body from position `at` on; and says whether they are. */
void pattern(char *space, uint64_t at, size_t size);
bool is_pattern(const char *bytes, uint64_t at, size_t size);

#endif
