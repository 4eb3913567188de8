#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef LOADER
#error "LOADER is the file name of the dynamic loader in fw/lib"
#endif

#define SECOND UINT64_C(1000000000)
#define LISTEN_PATIENCE_NS (30 * SECOND)
#define END_PATIENCE_NS (2 * SECOND)
#define TEMPLATE_BYTES 8192
#define STEP_NS 1000000

static const char *listen_text = "0.0.0.0";
static uint64_t port;
static struct sockaddr_in address;
static char root[PATH_MAX];
static char configuration[PATH_MAX];
static pid_t child;
static sigset_t awaited;

static _Noreturn void fail_with(const char *what, int error)
{
    errno = error;
    fw_fail(what);
}

/* Formats a path. If it is too long, ends the program, because a truncated path would name another file. */
static void path_in(char *out, const char *format, const char *first, const char *second)
{
    int length = snprintf(out, PATH_MAX, format, first, second);
    if (length < 0 || length >= PATH_MAX)
        fail_with(first, ENAMETOOLONG);
}

/* The image's root is two folders above this program. */
static void find_root(void)
{
    ssize_t length = readlink("/proc/self/exe", root, sizeof root - 1);
    if (length < 0)
        fw_fail("/proc/self/exe");
    root[length] = '\0';
    for (int folder = 0; folder < 2; folder++) {
        char *slash = strrchr(root, '/');
        if (slash == NULL)
            fail_with(root, ENOENT);
        *slash = '\0';
    }
}

static void read_address(void)
{
    char argument[64];
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, listen_text, &address.sin_addr) != 1) {
        snprintf(argument, sizeof argument, "listen=%.40s", listen_text);
        fw_bad_argument(argument, "not an IPv4 address");
    }
}

/*
 * Both configurations quote paths with double quotes, so a path must not contain characters that are special in quotes.
 */
static void refuse_odd(const char *path)
{
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || strchr("\"\\$", *at) != NULL)
            fail_with(path, EINVAL);
}

static const char *value_of(const char *name, size_t length, const struct server *server)
{
    static char port_text[8];
    snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    const char *const values[][2] = {
        {"listen", listen_text}, {"port", port_text}, {"dir", fw_dir}, {"root", root},
        {"user", geteuid() == 0 ? server->as_root : ""},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strlen(values[i][0]) == length && memcmp(values[i][0], name, length) == 0)
            return values[i][1];
    return NULL;
}

static void read_template(const struct server *server, char *text)
{
    char path[PATH_MAX];
    path_in(path, "%s/fw/server/%s", root, server->configuration);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, TEMPLATE_BYTES - 1);
    if (length < 0)
        fw_fail(path);
    if (length == TEMPLATE_BYTES - 1)
        fail_with(path, EFBIG);
    text[length] = '\0';
    close(fd);
}

/* Writes the template `text` with its placeholders replaced. Other `@` characters are kept. */
static void write_rendered(FILE *out, const char *text, const struct server *server)
{
    while (*text != '\0') {
        const char *end = *text == '@' ? strchr(text + 1, '@') : NULL;
        const char *value = end == NULL ? NULL : value_of(text + 1, (size_t)(end - text - 1), server);
        if (value != NULL) {
            fputs(value, out);
            text = end + 1;
        } else {
            fputc(*text++, out);
        }
    }
}

static void render(const struct server *server)
{
    static char text[TEMPLATE_BYTES];
    char leftover[PATH_MAX];
    refuse_odd(fw_dir);
    refuse_odd(root);
    read_template(server, text);
    path_in(configuration, "%s/%s", fw_dir, server->configuration);
    fw_scratch_also(configuration);
    if (server->leftover != NULL) {
        path_in(leftover, "%s/%s", fw_dir, server->leftover);
        fw_scratch_also(leftover);
    }
    FILE *out = fopen(configuration, "we");
    if (out == NULL)
        fw_fail(fw_dir);
    write_rendered(out, text, server);
    if (ferror(out) | (fclose(out) != 0))
        fw_fail(configuration);
}

/* Checks that no other program listens on the address, which would be mistaken for the server. */
static void claim_address(void)
{
    char what[64];
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(what, sizeof what, "listen on %.40s:%u", listen_text, (unsigned)port);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fw_fail(what);
    close(fd);
}

/*
 * If this program is killed, the server gets SIGTERM instead of SIGKILL, so that it can end its own processes. LC_ALL
 * is set because the image may not have the host's locale.
 */
static _Noreturn void become(const struct server *server, pid_t parent)
{
    static char loader[PATH_MAX], libraries[PATH_MAX], binary[PATH_MAX];
    char *arguments[SERVE_MOST_ARGUMENTS + 5] = {loader, "--library-path", libraries, binary};
    sigset_t none;
    path_in(loader, "%s/fw/lib/%s", root, LOADER);
    path_in(libraries, "%s/fw/lib%s", root, "");
    path_in(binary, "%s/fw/server/%s", root, server->binary);
    for (size_t i = 0; server->arguments[i] != NULL; i++)
        arguments[4 + i] = (char *)(strcmp(server->arguments[i], "@") == 0 ? configuration : server->arguments[i]);
    sigemptyset(&none);
    setenv("LC_ALL", "C", 1);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(1);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(loader, arguments);
    fw_line("FW error %s: %s", loader, strerror(errno));
    _exit(127);
}

static void start(const struct server *server)
{
    pid_t parent = getpid();
    child = fork();
    if (child < 0)
        fw_fail("fork");
    if (child == 0)
        become(server, parent);
}

/* Reaps ended processes; PID 1 also has orphans as children. Returns whether the server has ended. */
static int has_ended(int *status)
{
    int any;
    for (pid_t pid; (pid = waitpid(-1, &any, WNOHANG)) > 0;) {
        if (pid == child) {
            *status = any;
            child = 0;
        }
    }
    return child == 0;
}

/* Reports that the server has ended by itself. */
static _Noreturn void ended(const struct server *server, int status)
{
    fw_remove_scratch();
    if (WIFSIGNALED(status))
        fw_line("FW error %s was ended by signal %d", server->binary, WTERMSIG(status));
    else
        fw_line("FW error %s ended by itself with exit code %d", server->binary, WEXITSTATUS(status));
    _exit(1);
}

static void end_server(void)
{
    const struct timespec step = {.tv_nsec = 10 * STEP_NS};
    uint64_t give_up = fw_now() + END_PATIENCE_NS;
    int status = 0;
    kill(child, SIGTERM);
    while (!has_ended(&status)) {
        if (fw_now() > give_up)
            kill(child, SIGKILL);
        sigtimedwait(&awaited, NULL, &step);
    }
    fw_remove_scratch();
}

/* Handles a signal: ends everything, or checks whether the server has ended. */
static void heed(const struct server *server, int signal)
{
    int status = 0;
    if (signal == SIGTERM || signal == SIGINT || signal == SIGALRM) {
        end_server();
        _exit(signal == SIGALRM ? FW_EXIT_DEADLINE : 128 + signal);
    }
    if (has_ended(&status))
        ended(server, status);
}

static int accepts(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return connected;
}

/* Tries to connect every millisecond. A signal, such as at the server's end, is handled at once. */
static void wait_until_it_accepts(const struct server *server)
{
    const struct timespec step = {.tv_nsec = STEP_NS};
    uint64_t give_up = fw_now() + LISTEN_PATIENCE_NS;
    while (!accepts()) {
        if (fw_now() > give_up) {
            int error = errno;
            end_server();
            fw_line("FW error %s does not listen: %s", server->binary, strerror(error));
            _exit(1);
        }
        heed(server, sigtimedwait(&awaited, NULL, &step));
    }
}

/* Blocks these signals, so that only sigwaitinfo() and sigtimedwait() receive them. The deadline is armed already. */
static void await_signals(void)
{
    const int signals[] = {SIGTERM, SIGINT, SIGALRM, SIGCHLD};
    sigemptyset(&awaited);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&awaited, signals[i]);
    if (sigprocmask(SIG_BLOCK, &awaited, NULL) != 0)
        fw_fail("block signals");
}

_Noreturn void serve(int argc, char **argv, const struct server *server)
{
    port = server->port;
    const struct fw_option options[] = {
        {.key = "listen", .text = &listen_text},
        {.key = "port", .number = &port, .least = 1, .most = 65535},
    };
    fw_begin(argc, argv, options, sizeof options / sizeof *options);
    read_address();
    await_signals();
    claim_address();
    find_root();
    render(server);
    start(server);
    wait_until_it_accepts(server);
    fw_line("FW ready");
    for (;;)
        heed(server, sigwaitinfo(&awaited, NULL));
}
