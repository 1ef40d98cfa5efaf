/* SPDX-License-Identifier: Apache-2.0 */
/* api_config.c - mesh/config.h, and the errors and strings of mesh/base.h: arguments are checked, a file is read, the
 * rest is lib/config's. */
#include "base/error.h"
#include "base/error_type.h"
#include "config/config.h"
#include "config/document.h"
#include "config/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

mesh_status mesh_error_status(const mesh_error *error)
{
    return error ? error->status : MESH_OK;
}

const char *mesh_error_text(const mesh_error *error)
{
    return error ? error->text : "";
}

void mesh_error_free(mesh_error *error)
{
    mesh__error_release(error);
}

void mesh_string_free(char *string)
{
    mesh__mem_free(&mesh__mem_system, string);
}

static mesh_status not_valid(mesh_error **error)
{
    return mesh__error_set(error, MESH_EINVAL, "%s", mesh_status_text(MESH_EINVAL));
}

mesh_status mesh_config_new(mesh_config **out)
{
    return out ? mesh__document_new(&mesh__mem_system, out) : MESH_EINVAL;
}

mesh_status mesh_config_parse(const char *text, size_t size, const char *name, mesh_config **out, mesh_error **error)
{
    if (error != NULL)
        *error = NULL;
    if (out != NULL)
        *out = NULL;
    if (out == NULL || (text == NULL && size > 0))
        return not_valid(error);
    return mesh__document_parse(&mesh__mem_system, mesh__view(text ? text : "", size), name, NULL, out, error);
}

/* Appends the file to `out`, at most one byte more than a document may have. 0, or an errno. */
static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failed = 0;
    while (failed == 0 && out->size <= SCAN_SIZE_MAX) {
        if (!mesh__buf_reserve(out, 16384)) {
            failed = ENOMEM;
            break;
        }
        ssize_t got = read(fd, out->data + out->size, 16384);
        if (got == 0)
            break;
        if (got > 0)
            out->size += (size_t)got;
        else if (errno != EINTR)
            failed = errno;
    }
    (void)close(fd);
    return failed;
}

/* The folder of a path, with its slash; "" when there is none. NULL when memory is out. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return mesh__strndup(&mesh__mem_system, path, slash ? (size_t)(slash - path) + 1 : 0);
}

mesh_status mesh_config_load(const char *path, mesh_config **out, mesh_error **error)
{
    if (error != NULL)
        *error = NULL;
    if (out != NULL)
        *out = NULL;
    if (path == NULL || out == NULL)
        return not_valid(error);
    struct buf text;
    mesh__buf_init(&text, &mesh__mem_system, SIZE_MAX / 2);
    int failed = read_file(path, &text);
    char *folder = folder_of(path), reason[128];
    mesh_status status;
    if (failed == ENOMEM || folder == NULL)
        status = mesh__error_set(error, MESH_NO_MEMORY, "%s", mesh_status_text(MESH_NO_MEMORY));
    else if (failed != 0)
        status = mesh__error_set(error, MESH_ECONFIG, "%s: cannot be read: %s", path,
                                 strerror_r(failed, reason, sizeof(reason)));
    else
        status = mesh__document_parse(&mesh__mem_system, mesh__view(text.data, text.size), path, folder, out, error);
    mesh__mem_free(&mesh__mem_system, folder);
    mesh__buf_fini(&text);
    return status;
}

mesh_status mesh_config_set_string(mesh_config *config, const char *pointer, const char *value)
{
    if (config == NULL || pointer == NULL || value == NULL)
        return MESH_EINVAL;
    return mesh__document_set_string(config, pointer, value);
}

mesh_status mesh_config_set_json(mesh_config *config, const char *pointer, const char *json)
{
    if (config == NULL || pointer == NULL || json == NULL)
        return MESH_EINVAL;
    return mesh__document_set_json(config, pointer, json);
}

mesh_status mesh_config_check(const mesh_config *config, mesh_error **error, mesh_error **warnings)
{
    if (error != NULL)
        *error = NULL;
    if (warnings != NULL)
        *warnings = NULL;
    if (config == NULL)
        return not_valid(error);
    struct config *built;
    mesh_status status = mesh__config_build(config, &mesh__mem_system, &built, error, warnings);
    mesh__config_unref(built);
    return status;
}

/* The schema is made once, in memory that is always there, so that it is never NULL. */
static char schema_text[64 << 10];
static const char *schema = "";
static pthread_once_t schema_once = PTHREAD_ONCE_INIT;

static void *schema_allocate(size_t bytes, void *user)
{
    (void)user;
    return bytes <= sizeof(schema_text) ? schema_text : NULL;
}

static void *schema_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    return bytes <= sizeof(schema_text) ? block : NULL;
}

static void schema_release(void *block, void *user)
{
    (void)block;
    (void)user;
}

static void make_schema(void)
{
    static const struct mem mem = { schema_allocate, schema_resize, schema_release, NULL };
    struct buf out;
    mesh__buf_init(&out, &mem, sizeof(schema_text) - 1);
    if (mesh__config_write_schema(&out))
        schema = mesh__buf_text(&out);
}

const char *mesh_config_schema(void)
{
    (void)pthread_once(&schema_once, make_schema);
    return schema;
}

void mesh_config_free(mesh_config *config)
{
    mesh__document_free(config);
}
