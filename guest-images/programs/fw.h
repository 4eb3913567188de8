/*
 * Functions that every guest program shares: lines, arguments, the deadline, scratch files and the count of an
 * attacker's operations. They use only POSIX, without threads or stdio, so that the same source also runs as PID 1 of a
 * small Linux and on unikernels. Include this header before any system header.
 */
#ifndef FW_H
#define FW_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <stddef.h>
#include <stdint.h>

/* Exit statuses other than 0 and 1 ("FW error" was printed). */
enum {
    FW_EXIT_USAGE = 2,      /* an unknown or invalid argument */
    FW_EXIT_DEADLINE = 124, /* the deadline has passed, as in timeout(1) */
    FW_EXIT_TERM = 143,     /* SIGTERM, as in a shell */
};

/* A `key=value` argument: exactly one of `text` and `number` is set, and points to the default. */
struct fw_option {
    const char *key;
    const char **text;
    uint64_t *number;
    uint64_t least, most; /* inclusive limits of `number` */
};

/* The common arguments. */
extern const char *fw_dir;      /* dir=PATH: an in-memory folder for files; default /tmp */
extern uint64_t fw_deadline_s;  /* deadline=SECONDS: the program ends itself then; 0 means never */
extern uint64_t fw_report_ms;   /* report_ms=MS: the minimum interval of an attacker's lines; default 1000 */

/*
 * busy=NS: work for this long, which makes the program slower on purpose. fw_begin() does this before `FW main`, unless
 * the program has its own option of that name.
 */
#define FW_MOST_BUSY_NS (UINT64_C(3600) * 1000 * 1000 * 1000)

/*
 * Prints `FW main`, parses the arguments and arms the deadline. Call it first in main.
 * Invalid arguments end the program with FW_EXIT_USAGE.
 */
void fw_begin(int argc, char **argv, const struct fw_option *options, size_t count);

/* Rejects `key=value` and ends the program with FW_EXIT_USAGE. */
_Noreturn void fw_bad_argument(const char *argument, const char *why);

/* Prints a line of at most 1,000 bytes with a single write(2). */
void fw_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints `FW error WHAT:` with the error of errno, and exits with 1. */
_Noreturn void fw_fail(const char *what);

/* Reads the monotonic clock, in nanoseconds. */
uint64_t fw_now(void);

/* Reads the clock in a loop for at least `ns`. Returns the actual duration. */
uint64_t fw_busy(uint64_t ns);

/* Ends the program after `seconds` with FW_EXIT_DEADLINE; 0 disarms it. Children do not inherit it. */
void fw_arm(uint64_t seconds);

/*
 * Creates an empty file in `fw_dir`, and returns its name and, in `fd`, its descriptor. fw_remove_scratch(), SIGTERM
 * and the deadline remove it; SIGKILL does not.
 */
const char *fw_scratch(int *fd);

/* Registers `path` for removal with the scratch files. It need not exist. */
void fw_scratch_also(const char *path);

/* Removes every scratch file. */
void fw_remove_scratch(void);

/* Counts an attacker's operations; begin with FW_OPS_BEGIN. */
struct fw_ops {
    uint64_t total;   /* since the program began */
    uint64_t batch;   /* the number of operations before the next fw_batch_done() */
    uint64_t began;   /* when this batch began */
    uint64_t printed; /* when the last line was printed; 0 before the first */
};

#define FW_OPS_BEGIN {.batch = 1, .began = fw_now()}

/*
 * Counts `ops->batch` operations. Prints `FW ops N` the first time and then every `report_ms`. Chooses the next batch
 * so that the clock is read about a hundred times a second instead of for each operation.
 */
void fw_batch_done(struct fw_ops *ops);

#endif
