/* SPDX-License-Identifier: Apache-2.0 */
/* file_source.c - an endpoints file: its folder is watched with inotify, and the file looked at every 5 s as well.
 *
 * The folder, since a file that is replaced by rename, or is a link that is swapped, is a new inode each time. Network
 * file systems and links into other folders give no events; for them there is the slow look. A text that is refused is
 * read once more a moment later before anybody is told: it may have been caught half written. */
#include "base/error.h"
#include "base/error_type.h"
#include "discover/source_inside.h"
#include "net/read_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define FILE_CAP ((size_t)4 << 20)
#define LOOK_EVERY (5 * NANOS_S)
#define SETTLE (100 * NANOS_MS)
#define FRESH_NS 2000000000 /* the clocks of file systems are coarse: a stamp this young may not be the last */
#define DETAIL_MAX 640
#define WATCH_MASK                                                                                                     \
    (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct file_source {
    struct source base;
    struct watch watch; /* of the inotify descriptor */
    int inotify_fd;     /* -1: there is none */
    int folder_watch;   /* -1: the folder is not watched */
    char *folder;
    const char *name;         /* the file's, inside of its path */
    struct file_stamp judged; /* of the content that was last read */
    struct file_stamp bad;    /* of a refused content, which is looked at a second time; zero: none */
    bool read_again;          /* `judged` may change without being seen to */
};

static struct file_source *self_of(struct source *source)
{
    return CONTAINER_OF(source, struct file_source, base);
}

static const char *path_of(const struct file_source *self)
{
    return self->base.config->file;
}

static bool is_zero(const struct file_stamp *stamp)
{
    const struct file_stamp none = { 0 };
    return mesh__file_stamp_equal(stamp, &none);
}

static void complain_errno(struct file_source *self, int error)
{
    char space[128], detail[DETAIL_MAX];
    (void)snprintf(detail, sizeof(detail), "%s: %s", path_of(self), mesh__file_problem(error, space, sizeof(space)));
    self->judged = self->bad = (struct file_stamp){ 0 };
    mesh__source_complain(&self->base, MESH_DISCOVERY, detail);
}

/* The text was refused. The first line says enough; the rest would repeat the place. */
static void complain_text(struct file_source *self, const struct file_stamp *stamp, const char *text)
{
    if (!mesh__file_stamp_equal(stamp, &self->bad)) {
        self->bad = *stamp;
        return;
    }
    char detail[DETAIL_MAX];
    (void)snprintf(detail, sizeof(detail), "%.*s", (int)strcspn(text, "\n"), text);
    self->bad = (struct file_stamp){ 0 };
    mesh__source_complain(&self->base, MESH_DISCOVERY, detail);
}

static void judge(struct file_source *self, const struct buf *text, const struct file_stamp *stamp)
{
    struct endpoint_config *endpoints = NULL;
    uint32_t count = 0;
    mesh_error *error = NULL;
    mesh_status status =
        mesh__config_read_endpoints(self->base.mem, text->data, text->size, path_of(self), &endpoints, &count, &error);
    int64_t unix_now = self->base.loop->world->unix_now(self->base.loop->world);
    self->judged = *stamp;
    self->read_again = stamp->modified_ns > unix_now - FRESH_NS;
    if (status == MESH_OK) {
        self->bad = (struct file_stamp){ 0 };
        mesh__source_publish(&self->base, endpoints, count);
    } else {
        complain_text(self, stamp, error != NULL ? error->text : "");
    }
    if (error != NULL)
        mesh__error_release(error);
}

static void read_now(struct file_source *self)
{
    struct file_stamp stamp;
    struct buf text;
    mesh__buf_init(&text, self->base.mem, FILE_CAP);
    int error = mesh__file_read(path_of(self), &text, &stamp);
    if (error != 0)
        complain_errno(self, error);
    else
        judge(self, &text, &stamp);
    mesh__buf_fini(&text);
}

/* Reads the file if it may have changed, and says when to look again. */
static void look(struct file_source *self, bool surely)
{
    struct file_stamp stamp;
    int error = mesh__file_stamp(path_of(self), &stamp);
    if (error != 0)
        complain_errno(self, error);
    else if (surely || self->read_again || !is_zero(&self->bad) || !mesh__file_stamp_equal(&stamp, &self->judged))
        read_now(self);
    mesh__source_wait(&self->base, is_zero(&self->bad) ? LOOK_EVERY : SETTLE);
}

/* Watches the folder that the path leads to now; it may be another one than before. */
static void watch_folder(struct file_source *self)
{
    if (self->inotify_fd < 0)
        return;
    int folder_watch = inotify_add_watch(self->inotify_fd, self->folder, WATCH_MASK | IN_ONLYDIR);
    if (self->folder_watch >= 0 && folder_watch != self->folder_watch)
        (void)inotify_rm_watch(self->inotify_fd, self->folder_watch); /* fails if the folder has gone */
    self->folder_watch = folder_watch;
}

static void time_to_look(struct loop_timer *timer)
{
    struct source *source = CONTAINER_OF(timer, struct source, timer);
    mesh__source_enter(source);
    mesh__source_wait(source, LOOK_EVERY);
    watch_folder(self_of(source)); /* before the look: no change goes unseen in between */
    look(self_of(source), false);
    mesh__source_leave(source);
}

/* Takes the events that are there. True when one of them is about the file itself. */
static bool drain_events(struct file_source *self)
{
    bool about_file = false;
    char *space = self->base.loop->scratch;
    ssize_t got;
    while ((got = read(self->inotify_fd, space, LOOP_SCRATCH_SIZE)) > 0) {
        for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)got;) {
            struct inotify_event event;
            memcpy(&event, space + at, sizeof(event));
            const char *name = space + at + sizeof(event);
            about_file =
                about_file || (event.mask & IN_Q_OVERFLOW) != 0 || (event.len > 0 && strcmp(name, self->name) == 0);
            at += sizeof(event) + event.len;
        }
    }
    return about_file;
}

static void folder_changed(struct watch *watch, uint32_t events)
{
    (void)events;
    struct file_source *self = CONTAINER_OF(watch, struct file_source, watch);
    mesh__source_enter(&self->base);
    look(self, drain_events(self));
    mesh__source_leave(&self->base);
}

static void release(struct source *source)
{
    struct file_source *self = self_of(source);
    if (self->inotify_fd >= 0) {
        mesh__loop_unwatch(source->loop, &self->watch);
        close(self->inotify_fd);
    }
    self->inotify_fd = -1;
    mesh__mem_free(source->mem, self->folder);
    self->folder = NULL;
}

/* Splits the path. False when memory is out. */
static bool find_folder(struct file_source *self)
{
    const char *path = path_of(self), *slash = strrchr(path, '/');
    self->name = slash ? slash + 1 : path;
    if (slash == NULL)
        self->folder = mesh__strndup(self->base.mem, ".", 1);
    else
        self->folder = mesh__strndup(self->base.mem, path, slash == path ? 1 : (size_t)(slash - path));
    return self->folder != NULL;
}

/* Without inotify, as when the user has no instance left, the slow look is all there is. */
static void start_watching(struct file_source *self)
{
    self->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (self->inotify_fd < 0)
        return;
    if (mesh__loop_watch(self->base.loop, &self->watch, self->inotify_fd, LOOP_READ) == 0)
        return;
    close(self->inotify_fd);
    self->inotify_fd = -1;
}

struct source *mesh__file_source_start(struct loop *loop, const struct discover_config *config,
                                       const struct source_events *events, void *user)
{
    struct file_source *self = mesh__zalloc(loop->mem, sizeof(*self));
    if (self == NULL)
        return NULL;
    self->base.release = release;
    self->base.timer.fire = time_to_look;
    self->watch.ready = folder_changed;
    self->inotify_fd = self->folder_watch = -1;
    if (mesh__source_init(&self->base, loop, config, events, user)) {
        if (find_folder(self)) {
            start_watching(self);
            return &self->base;
        }
        mesh__source_fini(&self->base);
    }
    mesh__mem_free(loop->mem, self);
    return NULL;
}
