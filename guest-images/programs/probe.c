/*
 * A guest for tests of platforms, which misbehaves or reports its environment. `do=` chooses:
 *   exit      exits with code=N
 *   hang      ignores SIGTERM and sleeps; the deadline still ends it
 *   allocate  fills bytes=N of memory
 *   spawn     creates count=N children that sleep
 *   flood     prints lines forever
 *   crash     aborts
 *   where     reports what it sees of the machine
 *   serve     answers each connection to listen=ADDRESS port=N with a line, until it is ended
 *   silent    exits without printing a line
 * allocate and spawn print a result and exit; with then=pause, they keep their resources and sleep.
 */
#define _GNU_SOURCE /* sched_getaffinity, prctl: this program supports only Linux */
#include "fw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_CHILDREN 4096
#define CHILD_DEADLINE_S 60 /* a child ends itself by then, even if it loses its parent */

#define BACKLOG 64

static const char *mode = "where", *then = "exit", *address = "127.0.0.1";
static uint64_t code, bytes = UINT64_C(1) << 20, count = 1, port = 7;

static _Noreturn void sleep_for_ever(void)
{
    for (;;)
        pause();
}

static void end_or_pause(void)
{
    if (strcmp(then, "pause") == 0)
        sleep_for_ever();
}

static _Noreturn void hang(void)
{
    signal(SIGTERM, SIG_IGN);
    fw_line("FW ready");
    sleep_for_ever();
}

static int allocate(void)
{
    char *memory = malloc(bytes);
    if (memory == NULL)
        fw_fail("malloc");
    for (uint64_t i = 0; i < bytes; i += 4096)
        ((volatile char *)memory)[i] = 1;
    fw_line("FW result {\"allocated\":%llu}", (unsigned long long)bytes);
    end_or_pause();
    free(memory);
    return 0;
}

static _Noreturn void child(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* the parent ended before the call of prctl */
        _exit(1);
    fw_arm(fw_deadline_s > 0 ? fw_deadline_s : CHILD_DEADLINE_S);
    sleep_for_ever();
}

static int spawn(void)
{
    static pid_t children[MOST_CHILDREN];
    const pid_t parent = getpid();
    uint64_t made = 0;
    int error = 0;
    while (made < count) {
        pid_t pid = fork();
        if (pid == 0)
            child(parent);
        if (pid < 0) {
            error = errno;
            break;
        }
        children[made++] = pid;
    }
    fw_line("FW result {\"spawned\":%llu,\"errno\":%d}", (unsigned long long)made, error);
    end_or_pause();
    for (uint64_t i = 0; i < made; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    return 0;
}

static _Noreturn void flood(void)
{
    for (uint64_t line = 0;; line++)
        fw_line("flood %llu", (unsigned long long)line);
}

/* Lists the allowed processors in the kernel's format: `0-1,4`. */
static void list_cpus(char *text, size_t size)
{
    cpu_set_t set;
    size_t used = 0;
    text[0] = '\0';
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        fw_fail("sched_getaffinity");
    for (int first = 0; first < CPU_SETSIZE; first++) {
        if (!CPU_ISSET(first, &set))
            continue;
        int last = first;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
            last++;
        const char *comma = used > 0 ? "," : "";
        int length = first == last ? snprintf(text + used, size - used, "%s%d", comma, first)
                                   : snprintf(text + used, size - used, "%s%d-%d", comma, first, last);
        used += (size_t)length;
        if (used >= size)
            return;
        first = last;
    }
}

static void host_name(char *text, size_t size)
{
    if (gethostname(text, size) != 0)
        fw_fail("gethostname");
    text[size - 1] = '\0';
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c == '"' || *c == '\\')
            *c = '?';
}

static int dir_writable(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/fw-XXXXXX", fw_dir);
    int fd = mkstemp(path);
    if (fd < 0)
        return 0;
    close(fd);
    unlink(path);
    return 1;
}

static const char *json_bool(int yes)
{
    return yes ? "true" : "false";
}

static int where(void)
{
    char cpus[512], name[128];
    list_cpus(cpus, sizeof cpus);
    host_name(name, sizeof name);
    fw_line("FW result {\"cpus\":\"%s\",\"dir_writable\":%s,\"root_writable\":%s,\"pid\":%d,\"hostname\":\"%s\","
            "\"uid\":%d}",
            cpus, json_bool(dir_writable()), json_bool(access("/", W_OK) == 0), (int)getpid(), name, (int)getuid());
    return 0;
}

static int listener(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int on = 1;
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
        errno = EINVAL;
        fw_fail(address);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Connections of an earlier server at this address may linger. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        fw_fail("socket");
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0)
        fw_fail("listen");
    return fd;
}

static _Noreturn void serve(void)
{
    const int fd = listener();
    const unsigned long long since = fw_now(); /* distinguishes this server from a later one at the same address */
    signal(SIGPIPE, SIG_IGN);
    fw_line("FW ready");
    for (;;) {
        char line[96];
        int client = accept(fd, NULL, NULL);
        if (client < 0)
            continue; /* the client has already disconnected */
        int length = snprintf(line, sizeof line, "probe on %s port %u since %llu\n", address, (unsigned)port,
                              since);
        /* A short line is written completely or not at all. A client that disconnects early does not need it. */
        if (write(client, line, (size_t)length) == length)
            shutdown(client, SHUT_WR);
        close(client);
    }
}

int main(int argc, char **argv)
{
    const struct fw_option options[] = {
        {.key = "do", .text = &mode},
        {.key = "then", .text = &then},
        {.key = "listen", .text = &address},
        {.key = "port", .number = &port, .least = 1, .most = UINT16_MAX},
        {.key = "code", .number = &code, .most = 255},
        {.key = "bytes", .number = &bytes, .least = 1, .most = SIZE_MAX / 2},
        {.key = "count", .number = &count, .least = 1, .most = MOST_CHILDREN},
    };
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "do=silent") == 0)
            return 0;
    fw_begin(argc, argv, options, sizeof options / sizeof *options);
    if (strcmp(then, "exit") != 0 && strcmp(then, "pause") != 0)
        mode = "";
    if (strcmp(mode, "exit") == 0)
        return (int)code;
    if (strcmp(mode, "hang") == 0)
        hang();
    if (strcmp(mode, "allocate") == 0)
        return allocate();
    if (strcmp(mode, "spawn") == 0)
        return spawn();
    if (strcmp(mode, "flood") == 0)
        flood();
    if (strcmp(mode, "crash") == 0)
        abort();
    if (strcmp(mode, "where") == 0)
        return where();
    if (strcmp(mode, "serve") == 0)
        serve();
    fw_line("FW error argument `do` or `then`: unknown value");
    return FW_EXIT_USAGE;
}
