/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - what a round's processes read beside their configurations: payment's instances, the plain client's list,
 * delays. */
#include "driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel gives connections their own ports from 32768 on, and may give one that is free for the moment; below that
 * an instance finds its port again after it was killed. */
enum { PORT_FIRST = 12000, PORT_LAST = 32000 };

static int port_is_free(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int is_free = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return is_free;
}

static void pick_addresses(struct addresses *out)
{
    char *const all[] = { out->order,      out->inventory,  out->shipping,  out->payment[0],
                          out->payment[1], out->payment[2], out->payment[3] };
    unsigned chance = (unsigned)now_ns();
    (void)!getrandom(&chance, sizeof(chance), 0);
    int port = PORT_FIRST + (int)(chance % (PORT_LAST - PORT_FIRST));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        while (!port_is_free(port))
            port = port < PORT_LAST ? port + 1 : PORT_FIRST;
        (void)snprintf(all[i], sizeof(out->order), "127.0.0.1:%d", port);
        port = port < PORT_LAST ? port + 1 : PORT_FIRST;
    }
}

FILE *files_create(const struct round *round, const char *name)
{
    char path[SHOP_PATH];
    (void)snprintf(path, sizeof(path), "%s/%s", round->folder, name);
    FILE *file = fopen(path, "we");
    if (!file)
        perror(path);
    return file;
}

int files_copy(const struct round *round, const char *from, const char *to)
{
    char path[SHOP_PATH], bytes[16384];
    (void)snprintf(path, sizeof(path), "%s/%s", round->folder, from);
    FILE *in = fopen(path, "re"), *out = in ? files_create(round, to) : NULL;
    size_t size = in ? fread(bytes, 1, sizeof(bytes), in) : 0;
    int copied = out && size > 0 && size < sizeof(bytes) && fwrite(bytes, 1, size, out) == size;
    if (in)
        (void)fclose(in);
    if (out && fclose(out) != 0)
        copied = 0;
    return copied;
}

static int write_plain(const struct round *round)
{
    FILE *file = files_create(round, "plain.txt");
    if (!file)
        return 0;
    (void)fprintf(file, "inventory %s\nshipping %s\n", round->addresses.inventory, round->addresses.shipping);
    for (int i = SLOWED; i <= MOVES; i++)
        (void)fprintf(file, "payment %s\n", round->addresses.payment[i]);
    return fclose(file) == 0;
}

/* Replaced by rename, so that no reader sees half of it. */
int files_list_payment(const struct round *round, const enum instance *listed, size_t count)
{
    char from[SHOP_PATH], to[SHOP_PATH];
    FILE *file = files_create(round, "payment-instances.json.new");
    if (!file)
        return 0;
    for (size_t i = 0; i < count; i++)
        (void)fprintf(file, "%s\"%s\"", i == 0 ? "[" : ", ", round->addresses.payment[listed[i]]);
    (void)fprintf(file, "]\n");
    (void)snprintf(from, sizeof(from), "%s/payment-instances.json.new", round->folder);
    (void)snprintf(to, sizeof(to), "%s/payment-instances.json", round->folder);
    return fclose(file) == 0 && rename(from, to) == 0;
}

int files_set_delay(const struct round *round, const char *name, int ms)
{
    char path[SHOP_PATH], file_name[64];
    (void)snprintf(file_name, sizeof(file_name), "%s.delay", name);
    (void)snprintf(path, sizeof(path), "%s/%s", round->folder, file_name);
    if (ms == 0)
        return unlink(path) == 0;
    FILE *file = files_create(round, file_name);
    if (!file)
        return 0;
    (void)fprintf(file, "%d\n", ms);
    return fclose(file) == 0;
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0700) == 0)
        return 1;
    perror(path);
    return 0;
}

int files_prepare(struct round *round)
{
    static const enum instance listed[] = { SLOWED, KILLED, MOVES };
    char ledger[SHOP_PATH];
    (void)snprintf(ledger, sizeof(ledger), "%s/ledger", round->folder);
    pick_addresses(&round->addresses);
    return make_folder(round->folder) && make_folder(ledger) && documents_write(round) && write_plain(round) &&
           files_list_payment(round, listed, sizeof(listed) / sizeof(listed[0])) &&
           (!round->tls || certificates_prepare(round));
}
