/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix.c - which cells are run, each row in each of them, and what came of it. */
#include "api/client_matrix.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 100
#define FEWER_THREADS 4 /* where each connection costs a handshake */
#define CELLS_MAX ((int)DRIVERS * (int)NETWORKS * 2)

static const char *const driver_names[] = { "blocking", "next", "external", "threads", "dispatcher" };
static const char *const network_names[] = { "sockets", "memory", "inverting" };

static const struct row *rows[ROWS_MAX];
static int row_count;
static struct cell cells[CELLS_MAX];
static int cell_count;

static void collect_rows(const struct row *table)
{
    for (; table->name && row_count < ROWS_MAX; table++)
        rows[row_count++] = table;
}

/* Every driver over every network; with many threads too, where it is `whole`, else over one network each. */
static void collect_cells(int many, bool whole)
{
    for (int i = 0; i < CELLS_MAX; i++) {
        int driver = i / (NETWORKS * 2), network = i / 2 % NETWORKS;
        if (i % 2 == 0 || whole || network == driver % NETWORKS)
            cells[cell_count++] = (struct cell){ .driver = (enum driver)driver,
                                                 .network = (enum network)network,
                                                 .threads = i % 2 ? many : 1 };
    }
}

/* An owned and an external client over memory, and a way through everything else. */
static void collect_some_cells(int many)
{
    const struct cell some[] = {
        { DRIVER_BLOCKING, NETWORK_SOCKETS, 1, 0, 0 },   { DRIVER_NEXT, NETWORK_MEMORY, 1, 0, 0 },
        { DRIVER_EXTERNAL, NETWORK_MEMORY, 1, 0, 0 },    { DRIVER_EXTERNAL, NETWORK_INVERTING, many, 0, 0 },
        { DRIVER_THREADS, NETWORK_SOCKETS, many, 0, 0 }, { DRIVER_DISPATCHER, NETWORK_INVERTING, 1, 0, 0 },
    };
    cell_count = sizeof(some) / sizeof(some[0]);
    memcpy(cells, some, sizeof(some));
}

static void collect(bool http2, bool secured)
{
    const char *wish = getenv("MESH_MATRIX");
    const int many = secured ? FEWER_THREADS : HARNESS_THREADS;
    collect_rows(exchange_rows);
    collect_rows(retry_rows);
    collect_rows(end_rows);
    collect_rows(watch_rows);
    collect_rows(life_rows);
    collect_rows(stream_rows);
    bool whole = wish && strcmp(wish, "full") == 0;
    if ((!http2 && !secured) || whole)
        collect_cells(many, whole);
    else
        collect_some_cells(many);
    for (int i = 0; i < cell_count; i++) {
        cells[i].http2 = http2;
        cells[i].secured = secured;
    }
}

static const char *not_applicable(int row, int cell)
{
    return rows[row]->not_applicable ? rows[row]->not_applicable(&cells[cell]) : NULL;
}

/* ---- one row in one cell ---- */

struct turn {
    const struct row *row;
    struct harness *harness;
    int thread;
};

static void *run_thread(void *argument)
{
    const struct turn *turn = argument;
    turn->row->each(turn->harness, turn->thread);
    return NULL;
}

static void run_each(const struct row *row, struct harness *harness)
{
    int threads = harness->cell.threads;
    struct turn turns[HARNESS_THREADS];
    pthread_t ids[HARNESS_THREADS];
    harness_open_quiet(harness, row->services);
    for (int i = 0; i < threads; i++)
        turns[i] = (struct turn){ row, harness, i };
    for (int i = 1; i < threads; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, run_thread, &turns[i]), 0);
    (void)run_thread(&turns[0]);
    for (int i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
    harness_close(harness);
}

START_TEST(row_in_cell)
{
    const struct row *row = rows[_i / CELLS_MAX];
    struct harness harness;
    harness_begin(&harness, &cells[_i % CELLS_MAX]);
    if (row->each)
        run_each(row, &harness);
    else
        row->whole(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

/* ---- the matrix ---- */

static char numbers[ROWS_MAX * CELLS_MAX][12]; /* the names of the cases, which libcheck keeps by pointer */

static const char *cell_name(int cell, char out[80])
{
    (void)snprintf(out, 80, "%s/%s/%d", driver_names[cells[cell].driver], network_names[cells[cell].network],
                   cells[cell].threads);
    return out;
}

static void add_cells(Suite *suite, const char *only_row, const char *only_cell)
{
    char name[80];
    for (int row = 0; row < row_count; row++)
        for (int cell = 0; cell < cell_count; cell++) {
            int i = row * CELLS_MAX + cell;
            if (not_applicable(row, cell) || (only_row && strcmp(only_row, rows[row]->name) != 0) ||
                (only_cell && strcmp(only_cell, cell_name(cell, name)) != 0))
                continue;
            (void)snprintf(numbers[i], sizeof(numbers[i]), "%d", i);
            TCase *tcase = tcase_create(numbers[i]);
            tcase_set_timeout(tcase,
                              cells[cell].secured ? 40 : 10); /* handshakes take their time where much else runs */
            tcase_add_loop_test(tcase, row_in_cell, i, i + 1);
            suite_add_tcase(suite, tcase);
        }
}

/* Whether the cell is the first of its driver. */
static bool is_first(int cell)
{
    return cell == 0 || cells[cell].driver != cells[cell - 1].driver;
}

static void print_head(void)
{
    printf("rows: tests over %s, %s; columns: driver, network (s sockets, m memory, i inverting), threads\n",
           cells[0].http2 ? "HTTP/2" : "HTTP/1.1", cells[0].secured ? "mutual TLS" : "plain text");
    printf("%-30s", "");
    for (int cell = 0, next; cell < cell_count; cell = next) {
        for (next = cell + 1; next < cell_count && !is_first(next); next++)
            ;
        int width = 3 * (next - cell);
        printf("|%-*.*s", width, width, driver_names[cells[cell].driver]);
    }
    printf("|\n%-30s", "");
    for (int cell = 0; cell < cell_count; cell++)
        printf("%s%c%-2d", is_first(cell) ? "|" : "", network_names[cells[cell].network][0], cells[cell].threads);
    printf("|\n");
}

static enum { NOT_RUN, OK, FAILED } outcomes[ROWS_MAX * CELLS_MAX];

static bool has_run(int row)
{
    for (int cell = 0; cell < cell_count; cell++)
        if (outcomes[row * CELLS_MAX + cell] != NOT_RUN)
            return true;
    return false;
}

/* Gives how many cells of the row make no sense. */
static int print_row(int row)
{
    static const char *const words[] = { " . ", "ok ", "F! " };
    const char *reason = NULL;
    int none = 0;
    printf("%-30s", rows[row]->name);
    for (int cell = 0; cell < cell_count; cell++) {
        const char *why = not_applicable(row, cell);
        reason = why ? why : reason;
        none += why != NULL;
        printf("%s%s", is_first(cell) ? "|" : "", why ? " - " : words[outcomes[row * CELLS_MAX + cell]]);
    }
    printf("|%s%s\n", reason ? " -: " : "", reason ? reason : "");
    return none;
}

static void print_matrix(TestResult *const *results, int count, bool all)
{
    int none = 0;
    char name[80];
    for (int i = 0; i < count; i++)
        outcomes[atoi(tr_tcname(results[i]))] = tr_rtype(results[i]) == CK_PASS ? OK : FAILED;
    print_head();
    for (int row = 0; row < row_count; row++)
        if (all || has_run(row))
            none += print_row(row);
    printf("%d checks; %d make no sense where they are marked -\n", count, none);
    for (int i = 0; i < count; i++) {
        int at = atoi(tr_tcname(results[i]));
        if (outcomes[at] == FAILED)
            printf("FAIL: %s in %s: %s\n", rows[at / CELLS_MAX]->name, cell_name(at % CELLS_MAX, name),
                   tr_msg(results[i]));
    }
}

int client_matrix(bool http2, bool secured, int argc, char **argv)
{
    const char *only_row = argc > 1 && argv[1][0] ? argv[1] : NULL, *only_cell = argc > 2 ? argv[2] : NULL;
    collect(http2, secured);
    Suite *suite = suite_create("client matrix");
    add_cells(suite, only_row, only_cell);
    SRunner *runner = srunner_create(suite);
    if (secured)
        harness_make_certificates();
    srunner_run_all(runner, CK_ENV);
    TestResult **results = srunner_results(runner);
    int failed = srunner_ntests_failed(runner);
    print_matrix(results, srunner_ntests_run(runner), only_row == NULL);
    free(results);
    srunner_free(runner);
    if (secured)
        harness_remove_certificates();
    return failed ? 1 : 0;
}
