/* The console, the program, and the end of the machine. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <sys/io.h>
#endif

/* QEMU's isa-debug-exit. QEMU exits with the status 2 * value + 1. */
#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_VALUE 1

void say(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        length = 0;
    size_t left = (size_t)length > sizeof line - 2 ? sizeof line - 2 : (size_t)length;
    line[left++] = '\n';
    for (const char *at = line; left > 0;) {
        ssize_t written = write(STDOUT_FILENO, at, left);
        if (written > 0) {
            at += written;
            left -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            struct pollfd console = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&console, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            return; /* nobody reads the output */
        }
    }
}

_Noreturn void fail_because(const char *what, const char *why)
{
    say("FW error %s: %s", what, why);
    end_machine();
}

_Noreturn void fail(const char *what)
{
    fail_because(what, strerror(errno));
}

void make_raw(int console)
{
    struct termios settings;
    if (tcgetattr(console, &settings) != 0)
        return;
    cfmakeraw(&settings);
    tcsetattr(console, TCSANOW, &settings);
}

static void leave_by_debug_exit(void)
{
#if defined(__x86_64__) || defined(__i386__)
    if (ioperm(DEBUG_EXIT_PORT, 1, 1) == 0)
        outb(DEBUG_EXIT_VALUE, DEBUG_EXIT_PORT);
#endif
}

/* `fw.run` shows that this machine was booted for a program. Other machines must not be ended. */
_Noreturn void end_machine(void)
{
    tcdrain(STDOUT_FILENO);
    if (getpid() != 1 && option("fw.run") == NULL)
        _exit(1);
    leave_by_debug_exit();
    reboot(RB_AUTOBOOT);
    _exit(1);
}

void mount_at(const char *path, const char *type, const char *options)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        fail(path);
    if (mount(type, path, type, MS_NOSUID, options) != 0)
        fail(path);
}

static _Noreturn void become(command command)
{
    char *const environment[] = {"PATH=/fw", NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int empty = open("/dev/null", O_RDONLY);
    if (empty < 0 || dup2(empty, STDIN_FILENO) < 0)
        fail("/dev/null");
    if (empty > STDERR_FILENO)
        close(empty);
    if (chdir("/") != 0)
        fail("/");
    setsid();
    execve(command[0], command, environment);
    say("FW error %s: %s", command[0], strerror(errno));
    _exit(127);
}

/* Also reaps orphans. */
_Noreturn void run(command command)
{
    int status;
    pid_t ended, child = fork();
    if (child == 0)
        become(command);
    if (child < 0)
        fail("fork");
    do {
        ended = wait(&status);
        if (ended < 0 && errno != EINTR)
            fail("wait");
    } while (ended != child);
    if (WIFSIGNALED(status))
        say("FW exit signal %d", WTERMSIG(status));
    else
        say("FW exit code %d", WEXITSTATUS(status));
    end_machine();
}
