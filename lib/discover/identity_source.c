/* SPDX-License-Identifier: Apache-2.0 */
/* identity_source.c - the folders of the files are watched with inotify, and the files looked at every 5 s as well. */
#include "discover/identity_source.h"

#include "net/read_file.h"

#include <errno.h>
#include <mesh/client.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define FILE_CAP ((size_t)4 << 20)
#define LOOK_EVERY (5 * NANOS_S)
#define SETTLE (100 * NANOS_MS)
#define TOLD_NOTHING (-1)
#define WATCH_MASK (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)

/* The files by number: certificate, key, revocation list, then the bundles. */
enum { FILE_CERTIFICATE, FILE_KEY, FILE_CRL, FILE_BUNDLES };

struct identity_source {
    struct loop *loop;
    const struct identity_config *config;
    struct identity_events events;
    void *user;
    struct tls_identity *in_force; /* a reference */
    struct loop_timer timer;
    struct watch watch;
    int inotify_fd;                     /* -1: there is none */
    bool unsettled;                     /* what was read last is wrong, and is read once more before anybody is told */
    bool *gone;                         /* while a callback is under way: set when it ends the source */
    int32_t told;                       /* the level of the last line about expiry; TOLD_NOTHING: none */
    char complaint[IDENTITY_WORDS_MAX]; /* what was told to be wrong; "": nothing is */
};

static size_t file_count(const struct identity_config *config)
{
    return FILE_BUNDLES + config->trust_count;
}

static const char *path_of(const struct identity_config *config, size_t file)
{
    switch (file) {
    case FILE_CERTIFICATE:
        return config->certificate;
    case FILE_KEY:
        return config->key;
    case FILE_CRL:
        return config->crl;
    default:
        return config->trust[file - FILE_BUNDLES].file;
    }
}

/* ---- reading ---- */

struct contents {
    struct buf *texts; /* one for each file */
    struct tls_bundle_source *bundles;
};

static struct view text_of(const struct buf *text)
{
    return mesh__view(text->data, text->size);
}

static const char *culprit(const struct identity_config *config, const struct tls_problem *problem)
{
    switch (problem->part) {
    case TLS_PART_KEY:
        return config->key;
    case TLS_PART_CRL:
        return config->crl;
    case TLS_PART_BUNDLE:
        return config->trust[problem->bundle].file;
    default:
        return config->certificate;
    }
}

/* Key material does not stay behind in freed memory. */
static void wipe(struct buf *text)
{
    if (text->data)
        explicit_bzero(text->data, text->capacity);
    mesh__buf_fini(text);
}

static mesh_status read_all(const struct mem *mem, const struct identity_config *config, struct contents *contents,
                            char words[IDENTITY_WORDS_MAX])
{
    for (size_t i = 0; i < file_count(config); i++) {
        const char *path = path_of(config, i);
        char space[128];
        mesh__buf_init(&contents->texts[i], mem, FILE_CAP);
        int error = path ? mesh__file_read(path, &contents->texts[i], NULL) : 0;
        if (error) {
            (void)snprintf(words, IDENTITY_WORDS_MAX, "%s: %s", path, mesh__file_problem(error, space, sizeof(space)));
            return error == -ENOMEM ? MESH_NO_MEMORY : MESH_ECONFIG;
        }
        if (i >= FILE_BUNDLES)
            contents->bundles[i - FILE_BUNDLES] =
                (struct tls_bundle_source){ mesh__view_of(config->trust[i - FILE_BUNDLES].name),
                                            text_of(&contents->texts[i]) };
    }
    return MESH_OK;
}

static mesh_status parse(const struct mem *mem, const struct identity_config *config, const struct contents *contents,
                         int64_t unix_ns, struct tls_identity **out, char words[IDENTITY_WORDS_MAX])
{
    struct tls_identity_source source = { .certificate = text_of(&contents->texts[FILE_CERTIFICATE]),
                                          .key = text_of(&contents->texts[FILE_KEY]),
                                          .bundles = contents->bundles,
                                          .bundle_count = config->trust_count,
                                          .crl = text_of(&contents->texts[FILE_CRL]) };
    struct tls_problem problem = { 0 };
    mesh_status status = mesh__tls_identity_new(mem, &source, unix_ns, out, &problem);
    if (status == MESH_ECONFIG)
        (void)snprintf(words, IDENTITY_WORDS_MAX, "%s: %s", culprit(config, &problem), problem.words);
    else if (status)
        (void)snprintf(words, IDENTITY_WORDS_MAX, "%s", mesh_status_text(status));
    return status;
}

mesh_status mesh__identity_load(const struct mem *mem, const struct identity_config *config, int64_t unix_ns,
                                struct tls_identity **out, char words[IDENTITY_WORDS_MAX])
{
    struct contents contents = { .texts = mesh__zalloc(mem, file_count(config) * sizeof(struct buf)),
                                 .bundles =
                                     mesh__zalloc(mem, (config->trust_count + 1) * sizeof(struct tls_bundle_source)) };
    mesh_status status = MESH_NO_MEMORY;
    words[0] = '\0';
    if (contents.texts && contents.bundles) {
        status = read_all(mem, config, &contents, words);
        if (status == MESH_OK)
            status = parse(mem, config, &contents, unix_ns, out, words);
        for (size_t i = 0; i < file_count(config); i++)
            wipe(&contents.texts[i]);
    }
    mesh__mem_free(mem, contents.texts);
    mesh__mem_free(mem, contents.bundles);
    return status;
}

/* ---- watching ---- */

/* Again at each look: a folder may have been replaced, or made. Watching one twice is watching it once. */
static void watch_folders(struct identity_source *source)
{
    for (size_t i = 0; source->inotify_fd >= 0 && i < file_count(source->config); i++) {
        const char *path = path_of(source->config, i);
        if (path == NULL)
            continue;
        const char *slash = strrchr(path, '/');
        size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
        char folder[4096] = ".";
        if (length > 0 && length < sizeof(folder)) {
            memcpy(folder, path, length);
            folder[length] = '\0';
        }
        (void)inotify_add_watch(source->inotify_fd, folder, WATCH_MASK); /* without it there is the slow look */
    }
}

/* False when the callback ended the source. */
static bool tell(struct identity_source *source, int32_t level, const char *line)
{
    bool gone = false;
    source->gone = &gone;
    source->events.log(source->user, level, line);
    if (!gone)
        source->gone = NULL;
    return !gone;
}

/* False when a callback ended the source. */
static bool tell_expiry(struct identity_source *source, int64_t unix_ns)
{
    int64_t end = mesh__tls_identity_not_after(source->in_force);
    int32_t level = end == 0                                         ? TOLD_NOTHING
                    : unix_ns >= end                                 ? MESH_LOG_ERROR
                    : end - unix_ns < source->config->expiry_warning ? MESH_LOG_WARN
                                                                     : TOLD_NOTHING;
    if (level == source->told || level == TOLD_NOTHING)
        return true;
    source->told = level;
    char when[32] = "", line[IDENTITY_WORDS_MAX];
    time_t seconds = (time_t)(end / NANOS_S);
    struct tm parts;
    if (gmtime_r(&seconds, &parts))
        (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
    (void)snprintf(line, sizeof(line), "identity: %s: the certificate %s at %s", source->config->certificate,
                   level == MESH_LOG_ERROR ? "expired" : "expires", when);
    return tell(source, level, line);
}

/* The files are right: they come into force unless they say what is in force already. Takes the reference; false when
 * the callback ended the source. */
static bool take(struct identity_source *source, struct tls_identity *identity)
{
    source->unsettled = false;
    source->complaint[0] = '\0';
    if (mesh__tls_identity_same(identity, source->in_force)) {
        mesh__tls_identity_unref(identity);
        return true;
    }
    bool gone = false;
    mesh__tls_identity_unref(source->in_force);
    source->in_force = identity;
    source->told = TOLD_NOTHING;
    source->gone = &gone;
    mesh__tls_identity_ref(identity);
    source->events.update(source->user, identity);
    mesh__tls_identity_unref(identity);
    if (!gone)
        source->gone = NULL;
    return !gone;
}

/* What is wrong is told once it was read twice, and once. False when the callback ended the source. */
static bool complain(struct identity_source *source, const char *words)
{
    if (strcmp(source->complaint, words) == 0) {
        source->unsettled = false;
        return true;
    }
    source->unsettled = !source->unsettled;
    if (source->unsettled)
        return true;
    char line[IDENTITY_WORDS_MAX + 80];
    (void)snprintf(source->complaint, sizeof(source->complaint), "%s", words);
    (void)snprintf(line, sizeof(line), "identity: %s; the one in force stays", words);
    return tell(source, MESH_LOG_ERROR, line);
}

static void time_to_look(struct loop_timer *timer)
{
    struct identity_source *source = CONTAINER_OF(timer, struct identity_source, timer);
    struct loop *loop = source->loop;
    const struct world *world = loop->world;
    char words[IDENTITY_WORDS_MAX];
    struct tls_identity *identity = NULL;
    watch_folders(source); /* before the look: no change goes unseen in between */
    int64_t unix_ns = world->unix_now(world);
    mesh_status status = mesh__identity_load(loop->mem, source->config, unix_ns, &identity, words);
    /* Its place in the heap is kept: setting it again takes no memory. */
    (void)mesh__loop_timer_set(loop, timer, mesh__nanos_add(loop->now, LOOK_EVERY));
    bool stays =
        status == MESH_OK ? take(source, identity) : complain(source, words[0] ? words : mesh_status_text(status));
    if (stays && source->unsettled)
        (void)mesh__loop_timer_set(loop, timer, mesh__nanos_add(loop->now, SETTLE));
    if (stays)
        (void)tell_expiry(source, unix_ns);
}

/* Something in a folder has changed; what belongs together is given a moment to arrive, though not for ever: a folder
 * that changes all the time is looked at all the same. */
static void folder_changed(struct watch *watch, uint32_t events)
{
    struct identity_source *source = CONTAINER_OF(watch, struct identity_source, watch);
    struct loop *loop = source->loop;
    (void)events;
    while (read(source->inotify_fd, loop->scratch, LOOP_SCRATCH_SIZE) > 0)
        continue;
    mesh_nanos due = mesh__nanos_add(loop->now, SETTLE);
    if (source->timer.timer.due > due)
        (void)mesh__loop_timer_set(loop, &source->timer, due);
}

struct identity_source *mesh__identity_watch(struct loop *loop, const struct identity_config *config,
                                             struct tls_identity *in_force, const struct identity_events *events,
                                             void *user)
{
    struct identity_source *source = mesh__zalloc(loop->mem, sizeof(*source));
    if (source == NULL)
        return NULL;
    *source = (struct identity_source){ .loop = loop,
                                        .config = config,
                                        .events = *events,
                                        .user = user,
                                        .in_force = in_force,
                                        .told = TOLD_NOTHING,
                                        .timer.fire = time_to_look,
                                        .watch.ready = folder_changed,
                                        .inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC) };
    mesh__tls_identity_ref(in_force);
    if (source->inotify_fd >= 0 && mesh__loop_watch(loop, &source->watch, source->inotify_fd, LOOP_READ) != 0) {
        close(source->inotify_fd);
        source->inotify_fd = -1;
    }
    if (mesh__loop_timer_set(loop, &source->timer, loop->now))
        return source;
    mesh__identity_unwatch(source);
    return NULL;
}

void mesh__identity_unwatch(struct identity_source *source)
{
    if (source == NULL)
        return;
    if (source->gone)
        *source->gone = true;
    struct loop *loop = source->loop;
    mesh__loop_timer_cancel(loop, &source->timer);
    if (source->inotify_fd >= 0) {
        mesh__loop_unwatch(loop, &source->watch);
        close(source->inotify_fd);
    }
    mesh__tls_identity_unref(source->in_force);
    mesh__mem_free(loop->mem, source);
}
