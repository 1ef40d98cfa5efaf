/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c - a process is started, and its port asked until somebody answers. */
#include "interop/foreign.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 6000 /* times 5 ms */

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

unsigned foreign_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static bool listens(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return answered;
}

static void become(const char *folder, unsigned port, const char *command)
{
    char line[1000], number[12];
    (void)snprintf(line, sizeof(line), "exec %s", command);
    (void)snprintf(number, sizeof(number), "%u", port);
    if (chdir(folder) == 0 && setenv("PORT", number, 1) == 0 && freopen("/dev/null", "r", stdin) != NULL &&
        freopen("server.log", "w", stdout) != NULL && dup2(fileno(stdout), STDERR_FILENO) >= 0)
        (void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(126);
}

void foreign_start(struct foreign *foreign, const char *folder, unsigned port, const char *command)
{
    foreign->port = port;
    foreign->pid = fork();
    ck_assert_int_ge(foreign->pid, 0);
    if (foreign->pid == 0)
        become(folder, port, command);
    for (int i = 0; !listens(port); i++) {
        if (i == PATIENCE || waitpid(foreign->pid, NULL, WNOHANG) != 0)
            ck_abort_msg("it does not listen: %s", command);
        usleep(5000); /* there is nothing to wait for but the port itself */
    }
}

void foreign_end(struct foreign *foreign)
{
    if (foreign->pid <= 0)
        return;
    kill(foreign->pid, SIGKILL);
    (void)waitpid(foreign->pid, NULL, 0);
    foreign->pid = 0;
}
