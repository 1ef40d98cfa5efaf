/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix_test.c - each row of client_rows.h in each cell of {driver} x {network} x {threads}, and the matrix. */
/* label: threaded */
/* long */
#include "api/client_rows.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 100
#define CELLS ((int)DRIVERS * (int)NETWORKS * 2)

static const char *const driver_names[] = { "blocking", "next", "external", "threads", "dispatcher" };
static const char *const network_names[] = { "sockets", "memory", "inverting" };

static const struct row *rows[ROWS_MAX];
static int row_count;

static struct cell cell_of(int index)
{
    return (struct cell){ (enum driver)(index / (NETWORKS * 2)), (enum network)(index / 2 % NETWORKS),
                          index % 2 ? HARNESS_THREADS : 1 };
}

static const char *not_applicable(const struct row *row, int cell)
{
    struct cell at = cell_of(cell);
    return row->not_applicable ? row->not_applicable(&at) : NULL;
}

static void collect(const struct row *table)
{
    for (; table->name && row_count < ROWS_MAX; table++)
        rows[row_count++] = table;
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
    const struct row *row = rows[_i / CELLS];
    struct cell cell = cell_of(_i % CELLS);
    struct harness harness;
    harness_begin(&harness, &cell);
    if (row->each)
        run_each(row, &harness);
    else
        row->whole(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

/* ---- the matrix ---- */

static char numbers[ROWS_MAX * CELLS][12]; /* the names of the cases, which libcheck keeps by pointer */

static void add_cells(Suite *suite, const char *only_row, const char *only_cell)
{
    for (int i = 0; i < row_count * CELLS; i++) {
        struct cell cell = cell_of(i % CELLS);
        char name[80];
        (void)snprintf(name, sizeof(name), "%s/%s/%d", driver_names[cell.driver], network_names[cell.network],
                       cell.threads);
        if (not_applicable(rows[i / CELLS], i % CELLS) || (only_row && strcmp(only_row, rows[i / CELLS]->name) != 0) ||
            (only_cell && strcmp(only_cell, name) != 0))
            continue;
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%d", i);
        TCase *tcase = tcase_create(numbers[i]);
        tcase_set_timeout(tcase, 10);
        tcase_add_loop_test(tcase, row_in_cell, i, i + 1);
        suite_add_tcase(suite, tcase);
    }
}

static void print_head(void)
{
    printf("rows: tests; columns: driver, network (s sockets, m memory, i inverting), threads (1, 32)\n%-30s", "");
    for (int driver = 0; driver < DRIVERS; driver++)
        printf("| %-17.17s", driver_names[driver]);
    printf("|\n%-30s", "");
    for (int cell = 0; cell < CELLS; cell++)
        printf("%s%c%-2d", cell % (NETWORKS * 2) == 0 ? "|" : "", network_names[cell / 2 % NETWORKS][0],
               cell_of(cell).threads);
    printf("|\n");
}

static enum { NOT_RUN, OK, FAILED } outcomes[ROWS_MAX * CELLS];

static bool has_run(int row)
{
    for (int cell = 0; cell < CELLS; cell++)
        if (outcomes[row * CELLS + cell] != NOT_RUN)
            return true;
    return false;
}

static void print_matrix(TestResult *const *results, int count)
{
    static const char *const words[] = { " . ", "ok ", "F! " };
    for (int i = 0; i < count; i++)
        outcomes[atoi(tr_tcname(results[i]))] = tr_rtype(results[i]) == CK_PASS ? OK : FAILED;
    print_head();
    for (int row = 0; row < row_count; row++) {
        const char *reason = NULL;
        if (!has_run(row))
            continue;
        printf("%-30s", rows[row]->name);
        for (int cell = 0; cell < CELLS; cell++) {
            const char *why = not_applicable(rows[row], cell);
            reason = why ? why : reason;
            printf("%s%s", cell % (NETWORKS * 2) == 0 ? "|" : "", why ? " - " : words[outcomes[row * CELLS + cell]]);
        }
        printf("|%s%s\n", reason ? " -: " : "", reason ? reason : "");
    }
    for (int i = 0; i < count; i++) {
        int at = atoi(tr_tcname(results[i]));
        struct cell cell = cell_of(at % CELLS);
        if (outcomes[at] == FAILED)
            printf("FAIL: %s in %s/%s/%d: %s\n", rows[at / CELLS]->name, driver_names[cell.driver],
                   network_names[cell.network], cell.threads, tr_msg(results[i]));
    }
}

/* Arguments, for whoever looks into a failure: a row and a cell, as "deadline" "next/memory/32". */
int main(int argc, char **argv)
{
    collect(exchange_rows);
    collect(retry_rows);
    collect(end_rows);
    collect(watch_rows);
    collect(life_rows);
    Suite *suite = suite_create("client matrix");
    add_cells(suite, argc > 1 && argv[1][0] ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    TestResult **results = srunner_results(runner);
    int failed = srunner_ntests_failed(runner);
    print_matrix(results, srunner_ntests_run(runner));
    free(results);
    srunner_free(runner);
    return failed ? 1 : 0;
}
