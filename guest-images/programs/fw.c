#include "fw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define BATCH_NS (SECOND / 100)
#define YEAR_S (UINT64_C(366) * 24 * 3600)
#define PATH_BYTES 512
#define SCRATCH_FILES 4

const char *fw_dir = "/tmp";
uint64_t fw_deadline_s = 0;
uint64_t fw_report_ms = 1000;

static char scratch[SCRATCH_FILES][PATH_BYTES];
static volatile sig_atomic_t scratch_count = 0;

/* If this fails, nobody reads the output anymore, so the program ends. */
static void write_all(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            struct pollfd console = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&console, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            fw_remove_scratch();
            _exit(1);
        }
    }
}

static void write_line(const char *format, va_list arguments)
{
    char line[1024];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    if (length < 0)
        length = 0;
    if ((size_t)length > sizeof line - 2)
        length = sizeof line - 2;
    line[length] = '\n';
    write_all(line, (size_t)length + 1);
}

void fw_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void fw_fail(const char *what)
{
    int error = errno;
    fw_remove_scratch();
    fw_line("FW error %s: %s", what, strerror(error));
    _exit(1);
}

uint64_t fw_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

uint64_t fw_busy(uint64_t ns)
{
    uint64_t began = fw_now(), took = 0;
    while (took < ns)
        took = fw_now() - began;
    return took;
}

/* A handler is necessary, because a default action does not end PID 1 of a PID namespace (pid_namespaces(7)). */
static void end(int signal)
{
    fw_remove_scratch();
    _exit(signal == SIGALRM ? FW_EXIT_DEADLINE : FW_EXIT_TERM);
}

/* Also unblocks the signal: the guest may have inherited a mask that blocks it. */
static void end_on(int signal)
{
    struct sigaction action = {.sa_handler = end};
    sigset_t set;
    sigemptyset(&action.sa_mask);
    sigemptyset(&set);
    sigaddset(&set, signal);
    if (sigaction(signal, &action, NULL) != 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) != 0)
        fw_fail("signal handler");
}

void fw_arm(uint64_t seconds)
{
    if (seconds > 0)
        end_on(SIGALRM);
    alarm((unsigned)seconds);
}

_Noreturn void fw_bad_argument(const char *argument, const char *why)
{
    fw_line("FW error argument `%.200s`: %s", argument, why);
    _exit(FW_EXIT_USAGE);
}

static uint64_t parse_number(const char *argument, const char *value, const struct fw_option *option)
{
    char why[80];
    char *rest;
    errno = 0;
    unsigned long long number = strtoull(value, &rest, 10);
    if (*value < '0' || *value > '9' || *rest != '\0' || errno != 0 || number < option->least ||
        number > option->most) {
        snprintf(why, sizeof why, "not a number from %llu to %llu", (unsigned long long)option->least,
                 (unsigned long long)option->most);
        fw_bad_argument(argument, why);
    }
    return number;
}

static int take(const char *argument, const struct fw_option *options, size_t count)
{
    for (const struct fw_option *option = options; option < options + count; option++) {
        size_t length = strlen(option->key);
        if (strncmp(argument, option->key, length) != 0 || argument[length] != '=')
            continue;
        const char *value = argument + length + 1;
        if (*value == '\0')
            fw_bad_argument(argument, "no value");
        if (option->text != NULL)
            *option->text = value;
        else
            *option->number = parse_number(argument, value, option);
        return 1;
    }
    return 0;
}

/* Runs before the first line, so it ignores an invalid number, which fw_begin() reports later. */
static void be_busy(int argc, char **argv, const struct fw_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].key, "busy") == 0)
            return;
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "busy=", 5) == 0) {
            uint64_t ns = strtoull(argv[i] + 5, NULL, 10);
            fw_busy(ns <= FW_MOST_BUSY_NS ? ns : 0);
        }
}

void fw_begin(int argc, char **argv, const struct fw_option *options, size_t count)
{
    uint64_t done;
    const struct fw_option common[] = {
        {.key = "busy", .number = &done, .least = 1, .most = FW_MOST_BUSY_NS},
        {.key = "dir", .text = &fw_dir},
        {.key = "deadline", .number = &fw_deadline_s, .least = 1, .most = YEAR_S},
        {.key = "report_ms", .number = &fw_report_ms, .least = 10, .most = 60000},
    };
    be_busy(argc, argv, options, count);
    fw_line("FW main");
    for (int i = 1; i < argc; i++)
        if (!take(argv[i], options, count) && !take(argv[i], common, sizeof common / sizeof *common))
            fw_bad_argument(argv[i], "unknown key");
    end_on(SIGTERM);
    if (fw_deadline_s > 0)
        fw_arm(fw_deadline_s);
}

void fw_scratch_also(const char *path)
{
    if (scratch_count == SCRATCH_FILES || strlen(path) >= PATH_BYTES) {
        errno = ENAMETOOLONG;
        fw_fail(path);
    }
    strcpy(scratch[scratch_count], path);
    scratch_count++;
}

const char *fw_scratch(int *fd)
{
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/fw-XXXXXX", fw_dir);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        fw_fail("dir");
    }
    *fd = mkstemp(path);
    if (*fd < 0)
        fw_fail(fw_dir);
    fw_scratch_also(path);
    return scratch[scratch_count - 1];
}

void fw_remove_scratch(void)
{
    while (scratch_count > 0) {
        scratch_count--;
        unlink(scratch[scratch_count]);
    }
}

static void choose_batch(struct fw_ops *ops, uint64_t took)
{
    if (took < BATCH_NS / 2)
        ops->batch *= 2;
    else if (took > BATCH_NS * 2 && ops->batch > 1)
        ops->batch /= 2;
}

void fw_batch_done(struct fw_ops *ops)
{
    uint64_t now = fw_now();
    ops->total += ops->batch;
    choose_batch(ops, now - ops->began);
    if (ops->printed == 0 || now - ops->printed >= fw_report_ms * (SECOND / 1000)) {
        fw_line("FW ops %llu", (unsigned long long)ops->total);
        ops->printed = now;
        now = fw_now();
    }
    ops->began = now;
}
