/* SPDX-License-Identifier: Apache-2.0 */
/* measure.c - a round in numbers: from the orders' answers, the order service's attempts, and the ledger. */
#include "driver.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

int64_t phase_start(const struct round *round, int phase)
{
    int64_t start = round->start_ns;
    for (int i = 0; i < phase; i++)
        start += phases[i].seconds * SECONDS;
    return start;
}

static int in_phase(const struct round *round, int phase, int64_t when_ns)
{
    return when_ns >= phase_start(round, phase) && when_ns < phase_start(round, phase + 1);
}

size_t orders_of(const struct round *round, int phase, size_t *accepted)
{
    size_t count = 0;
    *accepted = 0;
    for (size_t i = 0; i < round->order_count; i++) {
        if (!in_phase(round, phase, round->orders[i].intended_ns))
            continue;
        count++;
        *accepted += (size_t)round->orders[i].accepted;
    }
    return count;
}

static int compare(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

int64_t latency(const struct round *round, int phase, int percent)
{
    size_t count = 0;
    int64_t result = -1, *all = calloc(round->order_count, sizeof(*all));
    for (size_t i = 0; all && i < round->order_count; i++) {
        const struct order *order = &round->orders[i];
        if (order->accepted && in_phase(round, phase, order->intended_ns))
            all[count++] = order->ended_ns - order->intended_ns;
    }
    if (count > 0) {
        qsort(all, count, sizeof(*all), compare);
        result = all[(count - 1) * (size_t)percent / 100];
    }
    free(all);
    return result;
}

double share(const struct round *round, int64_t from_ns, int64_t to_ns, enum instance instance)
{
    size_t all = 0, own = 0;
    for (size_t i = 0; i < round->attempt_count; i++) {
        const struct attempt *attempt = &round->attempts[i];
        if (attempt->at_ns < from_ns || attempt->at_ns >= to_ns)
            continue;
        all++;
        own += attempt->instance == (int)instance;
    }
    return all > 0 ? 100.0 * (double)own / (double)all : 0;
}

static int instance_at(const struct round *round, const char *address)
{
    for (int i = 0; i < INSTANCES; i++) {
        if (strcmp(round->addresses.payment[i], address) == 0)
            return i;
    }
    return -1;
}

/* Each line: when, where, why there, whether over an open connection. */
static int read_attempts(struct round *round)
{
    char path[SHOP_PATH], line[256], address[64], pick[32];
    long long at;
    int reused, version;
    size_t room = round->order_count * 4; /* an order has at most three attempts, and one more that is free */
    (void)snprintf(path, sizeof(path), "%s/attempts.log", round->folder);
    FILE *file = fopen(path, "re");
    round->attempts = calloc(room, sizeof(*round->attempts));
    while (file && round->attempts && round->attempt_count < room && fgets(line, sizeof(line), file)) {
        struct attempt *attempt = &round->attempts[round->attempt_count];
        if (sscanf(line, "%lld %63s %31s %d %d", &at, address, pick, &reused, &version) != 5)
            continue;
        attempt->at_ns = at;
        attempt->instance = instance_at(round, address);
        attempt->probe = strcmp(pick, mesh_pick_name(MESH_PICK_PROBE)) == 0;
        attempt->reused = reused;
        attempt->version = version;
        round->attempt_count++;
    }
    if (file)
        (void)fclose(file);
    return round->attempt_count > 0;
}

/* The number in "order-00017", from 0; `order_count` when it is none of this round's orders. */
static size_t order_number(const struct round *round, const char *id)
{
    size_t number = 0;
    if (sscanf(id, "order-%zu", &number) != 1 || number == 0 || number > round->order_count)
        return round->order_count;
    return number - 1;
}

static void read_ledger(struct round *round, unsigned char *in_ledger)
{
    char path[SHOP_PATH];
    (void)snprintf(path, sizeof(path), "%s/ledger", round->folder);
    DIR *ledger = opendir(path);
    struct dirent *entry;
    while (ledger && (entry = readdir(ledger)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        round->charged++;
        size_t number = order_number(round, entry->d_name);
        in_ledger[number] = 1;
        round->foreign += number == round->order_count;
    }
    if (ledger)
        (void)closedir(ledger);
}

/* The journal has a line for each file that an instance created. */
static void read_journal(struct round *round, unsigned char *created)
{
    char path[SHOP_PATH], line[128], id[SHOP_ID];
    (void)snprintf(path, sizeof(path), "%s/charges.log", round->folder);
    FILE *journal = fopen(path, "re");
    while (journal && fgets(line, sizeof(line), journal)) {
        if (sscanf(line, "%31s", id) != 1)
            continue;
        size_t number = order_number(round, id);
        if (number == round->order_count)
            round->foreign++;
        else if (created[number]++ == 1)
            round->twice++;
    }
    if (journal)
        (void)fclose(journal);
}

int measure_round(struct round *round)
{
    unsigned char *in_ledger = calloc(round->order_count + 1, 1), *created = calloc(round->order_count + 1, 1);
    int read = in_ledger && created && read_attempts(round);
    if (read) {
        read_ledger(round, in_ledger);
        read_journal(round, created);
        for (size_t i = 0; i < round->order_count; i++) {
            round->accepted += (size_t)round->orders[i].accepted;
            round->lost += round->orders[i].accepted && !in_ledger[i];
        }
    }
    free(in_ledger);
    free(created);
    return read;
}
