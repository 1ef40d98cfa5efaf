/* SPDX-License-Identifier: Apache-2.0 */
/* processes.c - the processes that the driver starts: started by one function, ended by id, all of them in every case.
 *
 * Each has the end of a pipe as its standard input. The other end is the driver's alone and closes with it, however it
 * ends, and a service takes that as the order to stop: none is left behind even by a driver that was killed. */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 16, START_MS = 10000, STOP_MS = 4000 };

struct process {
    char name[32];
    pid_t pid; /* 0: this place is free */
    int said;  /* its standard output */
};

static struct process table[PROCESSES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lifeline[2] = { -1, -1 };
static int closing;

static int spawn(const char *folder, const char *part, const char *name, int said, pid_t *pid)
{
    char log[SHOP_PATH], program[] = "shop", words[3][SHOP_PATH / 2];
    (void)snprintf(words[0], sizeof(words[0]), "%s", part);
    (void)snprintf(words[1], sizeof(words[1]), "%s", folder);
    (void)snprintf(words[2], sizeof(words[2]), "%s", name);
    char *arguments[] = { program, words[0], words[1], strcmp(part, "payment") == 0 ? words[2] : NULL, NULL };
    (void)snprintf(log, sizeof(log), "%s/%s.log", folder, name);

    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_adddup2(&files, lifeline[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&files, said, STDOUT_FILENO);
    (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    int wrong = posix_spawn(pid, "/proc/self/exe", &files, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return wrong;
}

/* The new process's place; NULL when it could not be started. */
static struct process *start(const char *folder, const char *part, const char *name)
{
    struct process *self = table;
    int said[2] = { -1, -1 }, wrong = ECANCELED;
    (void)pthread_mutex_lock(&lock);
    while (self < table + PROCESSES && self->pid != 0)
        self++;
    if (!closing && self < table + PROCESSES && (lifeline[0] >= 0 || pipe2(lifeline, O_CLOEXEC) == 0) &&
        pipe2(said, O_CLOEXEC) == 0)
        wrong = spawn(folder, part, name, said[1], &self->pid);
    if (wrong == 0) {
        (void)snprintf(self->name, sizeof(self->name), "%s", name);
        self->said = said[0];
    } else if (self < table + PROCESSES) {
        self->pid = 0;
        (void)close(said[0]);
    }
    (void)close(said[1]);
    (void)pthread_mutex_unlock(&lock);
    return wrong == 0 ? self : NULL;
}

static int was_interrupted(void)
{
    (void)pthread_mutex_lock(&lock);
    int answer = closing;
    (void)pthread_mutex_unlock(&lock);
    return answer;
}

/* The path of `mesh`, which is beside this program. */
static int find_mesh(char *out, size_t room)
{
    ssize_t size = readlink("/proc/self/exe", out, room - strlen("mesh") - 1);
    if (size <= 0)
        return 0;
    out[size] = '\0';
    char *slash = strrchr(out, '/');
    memcpy(slash ? slash + 1 : out, "mesh", sizeof("mesh"));
    return 1;
}

/* Under the lock, so that whoever wants to end all processes waits for it: at most a little more than a second. */
int process_run_mesh(const char *log, char *const arguments[])
{
    char path[SHOP_PATH];
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status = -1;
    if (!find_mesh(path, sizeof(path)))
        return 0;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    (void)pthread_mutex_lock(&lock);
    int wrong = closing ? ECANCELED : posix_spawn(&pid, path, &files, NULL, arguments, environ);
    while (wrong == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)pthread_mutex_unlock(&lock);
    (void)posix_spawn_file_actions_destroy(&files);
    if (wrong == 0 && status == 0)
        return 1;
    if (!was_interrupted())
        (void)fprintf(stderr, "mesh %s failed; see %s\n", arguments[1], log);
    return 0;
}

int process_start(const char *folder, const char *part, const char *name)
{
    struct process *self = start(folder, part, name);
    struct pollfd said = { .fd = self ? self->said : -1, .events = POLLIN };
    char line[128];
    if (self && poll(&said, 1, START_MS) == 1 && read(said.fd, line, sizeof(line)) > 0)
        return 1;
    if (!was_interrupted())
        (void)fprintf(stderr, "%s does not start; see %s/%s.log\n", name, folder, name);
    return 0;
}

/* Waits for the end of a process, for at most `ms`, then kills it. Under the lock. */
static void reap(struct process *self, int ms)
{
    struct timespec pause = { .tv_nsec = 5 * MS };
    for (; ms > 0 && waitpid(self->pid, NULL, WNOHANG) == 0; ms -= 5)
        (void)nanosleep(&pause, NULL);
    if (ms <= 0) {
        (void)kill(self->pid, SIGKILL);
        (void)waitpid(self->pid, NULL, 0);
    }
    (void)close(self->said);
    self->pid = 0;
}

void process_stop(const char *name, int signal)
{
    (void)pthread_mutex_lock(&lock);
    for (struct process *self = table; self < table + PROCESSES; self++) {
        if (self->pid != 0 && strcmp(self->name, name) == 0) {
            (void)kill(self->pid, signal);
            reap(self, STOP_MS);
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

static void stop_all(int signal, int ms)
{
    for (struct process *self = table; self < table + PROCESSES; self++) {
        if (self->pid != 0)
            (void)kill(self->pid, signal);
    }
    for (struct process *self = table; self < table + PROCESSES; self++) {
        if (self->pid != 0)
            reap(self, ms);
    }
}

void process_stop_all(void)
{
    (void)pthread_mutex_lock(&lock);
    stop_all(SIGTERM, STOP_MS);
    (void)pthread_mutex_unlock(&lock);
}

void process_kill_all(void)
{
    (void)pthread_mutex_lock(&lock);
    closing = 1;
    stop_all(SIGKILL, STOP_MS);
    (void)pthread_mutex_unlock(&lock);
}
