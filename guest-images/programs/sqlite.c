/*
 * The victim: inserts `rows=` rows into a database in `dir`, each in its own transaction. SQLite has its defaults:
 * rollback journal (DELETE), synchronous FULL, 4 KiB pages. The statement is prepared once. `insert_ns` lasts from
 * before the first INSERT until after the last one, on the guest's monotonic clock. The rows are counted after the
 * result is printed, so no interval of the harness includes the counting. The work of `busy=` is spread over the rows.
 */
#include "fw.h"

#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <unistd.h>

static sqlite3 *database;

static _Noreturn void fail(const char *what)
{
    fw_remove_scratch();
    fw_line("FW error sqlite %s: %s", what, sqlite3_errmsg(database));
    _exit(1);
}

static void open_database(void)
{
    char journal[600];
    int fd;
    const char *path = fw_scratch(&fd);
    close(fd);
    snprintf(journal, sizeof journal, "%s-journal", path);
    fw_scratch_also(journal);
    if (sqlite3_open(path, &database) != SQLITE_OK)
        fail("open");
    if (sqlite3_exec(database, "CREATE TABLE tab (number INTEGER, text TEXT)", NULL, NULL, NULL) != SQLITE_OK)
        fail("create");
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail("prepare");
    return statement;
}

static void insert(sqlite3_stmt *statement, uint64_t row)
{
    char text[32];
    int length = snprintf(text, sizeof text, "row %llu", (unsigned long long)row);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)row);
    sqlite3_bind_text(statement, 2, text, length, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK)
        fail("insert");
}

/* Inserts `rows` rows, and is busy for `ns` in total, in equal parts after each row. */
static void insert_all(sqlite3_stmt *statement, uint64_t rows, uint64_t ns)
{
    uint64_t was_busy = 0;
    for (uint64_t row = 0; row < rows; row++) {
        insert(statement, row);
        if (ns == 0)
            continue;
        uint64_t due = ns / rows * (row + 1) + ns % rows * (row + 1) / rows;
        if (due > was_busy)
            was_busy += fw_busy(due - was_busy);
    }
}

static void verify(uint64_t rows)
{
    sqlite3_stmt *statement = prepare("SELECT count(*), coalesce(sum(number), 0) FROM tab");
    if (sqlite3_step(statement) != SQLITE_ROW)
        fail("select");
    uint64_t count = (uint64_t)sqlite3_column_int64(statement, 0);
    uint64_t sum = (uint64_t)sqlite3_column_int64(statement, 1);
    sqlite3_finalize(statement);
    if (count == rows && sum == rows * (rows - 1) / 2)
        return;
    fw_remove_scratch();
    fw_line("FW error sqlite: inserted %llu rows, found %llu", (unsigned long long)rows, (unsigned long long)count);
    _exit(1);
}

int main(int argc, char **argv)
{
    uint64_t rows = 60000, busy = 0;
    const struct fw_option options[] = {
        {.key = "rows", .number = &rows, .least = 1, .most = UINT64_C(1000000000)},
        {.key = "busy", .number = &busy, .least = 1, .most = FW_MOST_BUSY_NS},
    };
    fw_begin(argc, argv, options, 2);
    open_database();
    sqlite3_stmt *statement = prepare("INSERT INTO tab VALUES (?, ?)");
    fw_line("FW ready");
    uint64_t began = fw_now();
    insert_all(statement, rows, busy);
    uint64_t took = fw_now() - began;
    fw_line("FW result {\"rows\":%llu,\"insert_ns\":%llu,\"sqlite\":\"%s\"}", (unsigned long long)rows,
            (unsigned long long)took, sqlite3_libversion());
    sqlite3_finalize(statement);
    verify(rows);
    sqlite3_close(database);
    fw_remove_scratch();
    return 0;
}
