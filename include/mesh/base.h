/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/base.h - types that every other header of Meshcall uses. */
#ifndef MESH_BASE_H
#define MESH_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MESH_API __attribute__((visibility("default")))
#define MESH_NODISCARD __attribute__((warn_unused_result))
#else
#define MESH_API
#define MESH_NODISCARD
#endif

/* Conventions that hold for every function of the library:
 *  - strings are UTF-8, NUL-terminated and borrowed for the length of the call, unless said otherwise;
 *  - times are nanoseconds in an int64_t; a timeout of 0 means "unset" in a request and "do not wait" in a
 *    waiting function, a negative one means "for as long as it takes";
 *  - a struct whose first member is `uint32_t size` is set up by its _INIT macro or by its _init() function, which
 *    set every member; members may be added at its end in later versions, none moves;
 *  - an array of such structs has the first element's `size` as its stride;
 *  - every _free() function accepts NULL and may be called from any thread;
 *  - no function keeps anything per thread that the caller could see, and none changes signal handlers or the locale.
 */

/* A status code; see mesh/status.h for the list. MESH_OK is 0. */
typedef int32_t mesh_status;

/* The id of a call: unique in its client for as long as the client lives; 0 is no call. */
typedef uint64_t mesh_call_id;

typedef struct mesh_client mesh_client;     /* what calls services; mesh/client.h */
typedef struct mesh_config mesh_config;     /* a document that says which services there are; mesh/config.h */
typedef struct mesh_error mesh_error;       /* why opening, loading or reloading failed, one line a reason */
typedef struct mesh_result mesh_result;     /* what a call ended with; mesh/call.h */
typedef struct mesh_token mesh_token;       /* cancels any number of calls; mesh/call.h */
typedef struct mesh_inbound mesh_inbound;   /* trace, baggage and deadline that came in; mesh/call.h */
typedef struct mesh_stream mesh_stream;     /* a call whose bodies come in pieces; mesh/stream.h */
typedef struct mesh_server mesh_server;     /* the inbound half; mesh/server.h */
typedef struct mesh_exchange mesh_exchange; /* one request that a server received; mesh/server.h */

/* One header field. Neither string needs a terminating NUL. The layout of this struct is frozen. */
typedef struct mesh_header {
    const char *name;
    size_t name_size;
    const char *value;
    size_t value_size;
} mesh_header;

/* Where memory comes from. All three functions are called from any thread, also at once, and must outlive the
 * client and the last of its results: the release of the last block is the last use. `resize` is given the old size.
 * All or none of the three are set. */
typedef struct mesh_allocator {
    uint32_t size;
    uint32_t reserved; /* 0 */
    void *(*allocate)(size_t bytes, void *user);
    void *(*resize)(void *block, size_t old_bytes, size_t bytes, void *user);
    void (*release)(void *block, void *user);
    void *user;
} mesh_allocator;

/* The version of the library that is linked, as "0.1.0". Static; never NULL. */
MESH_API const char *mesh_version(void);

/* The number in the shared library's name: programs built against one number run with any library of that number. */
MESH_API int32_t mesh_abi_version(void);

/* The status of the error; MESH_OK for NULL. */
MESH_API mesh_status mesh_error_status(const mesh_error *error);

/* What is wrong: one line a reason, without a line feed at the end; "" for NULL. Lives as long as the error. */
MESH_API const char *mesh_error_text(const mesh_error *error);

/* Gives the error back. */
MESH_API void mesh_error_free(mesh_error *error);

/* Gives back a string that a function of this library returned as `char *`. */
MESH_API void mesh_string_free(char *string);

#ifdef __cplusplus
}
#endif
#endif
