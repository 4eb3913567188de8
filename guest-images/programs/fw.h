/*
 * What every guest program shares: its lines, its arguments, its deadline, its scratch files and the count of
 * an attacker's operations. Plain POSIX, no threads, no stdio, so that the same source also runs as PID 1 of a
 * tiny Linux and on unikernels. Include it before any system header.
 */
#ifndef FW_H
#define FW_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <stddef.h>
#include <stdint.h>

/* Exit statuses beside 0 and 1 ("FW error" was printed). */
enum {
    FW_EXIT_USAGE = 2,      /* an unknown or bad argument */
    FW_EXIT_DEADLINE = 124, /* the deadline passed, as timeout(1) says it */
    FW_EXIT_TERM = 143,     /* SIGTERM, as a shell says it */
};

/* One `key=value` argument of a program: exactly one of `text` and `number` is set, and holds the default. */
struct fw_option {
    const char *key;
    const char **text;
    uint64_t *number;
    uint64_t least, most; /* of `number`, both included */
};

/* The common arguments. */
extern const char *fw_dir;      /* dir=PATH: an in-memory folder for files, /tmp */
extern uint64_t fw_deadline_s;  /* deadline=SECONDS: the program ends itself then; 0 is never */
extern uint64_t fw_report_ms;   /* report_ms=MS: an attacker's lines are at least this far apart, 1000 */

/*
 * busy=NS: work for so long, which makes the program slower on purpose. fw_begin does it before `FW main`, unless the
 * program has an option of that name itself.
 */
#define FW_MOST_BUSY_NS (UINT64_C(3600) * 1000 * 1000 * 1000)

/*
 * Prints `FW main`, reads the arguments and arms the deadline. Call it first in main.
 * Bad arguments end the program with FW_EXIT_USAGE.
 */
void fw_begin(int argc, char **argv, const struct fw_option *options, size_t count);

/* Refuses `key=value` and ends the program with FW_EXIT_USAGE. */
_Noreturn void fw_bad_argument(const char *argument, const char *why);

/* Prints one line, of at most 1,000 bytes, by one write(2). */
void fw_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints `FW error WHAT: <what errno says>` and exits with 1. */
_Noreturn void fw_fail(const char *what);

/* The monotonic clock, in nanoseconds. */
uint64_t fw_now(void);

/* Keeps the processor busy for `ns` at least: how long it did. Asks the clock alone, again and again. */
uint64_t fw_busy(uint64_t ns);

/* Ends the program after `seconds` with FW_EXIT_DEADLINE; 0 disarms it. Children do not inherit it. */
void fw_arm(uint64_t seconds);

/*
 * Makes an empty file in `fw_dir` and gives its name and, in `fd`, its descriptor. The name is removed by
 * fw_remove_scratch(), by SIGTERM and by the deadline; not by SIGKILL.
 */
const char *fw_scratch(int *fd);

/* Lets `path` be removed together with the scratch files; it need not exist. */
void fw_scratch_also(const char *path);

/* Removes every scratch file. */
void fw_remove_scratch(void);

/* Counts an attacker's operations; begin with FW_OPS_BEGIN. */
struct fw_ops {
    uint64_t total;   /* since the program began */
    uint64_t batch;   /* how many to do before the next fw_batch_done() */
    uint64_t began;   /* when this batch began */
    uint64_t printed; /* when the last line was printed; 0 before the first */
};

#define FW_OPS_BEGIN {.batch = 1, .began = fw_now()}

/*
 * Says that `ops->batch` operations were done, prints `FW ops N` if `report_ms` have passed or nothing was printed
 * yet, and chooses the next batch so that the clock is read about a hundred times a second and not per operation.
 */
void fw_batch_done(struct fw_ops *ops);

#endif
