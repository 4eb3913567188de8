/* The glue around a guest program on Unikraft; see unikraft.h. */
#include "fw.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#define LONG_S 3600

int fw_program_main(int argc, char **argv);

/* Prints the last line of a guest, the program's exit code. */
static void tell(int code)
{
    fw_line("FW exit code %d", code & 0xff);
}

static void sleep_long(void)
{
    const struct timespec span = {.tv_sec = LONG_S};
    nanosleep(&span, NULL);
}

unsigned alarm(unsigned seconds)
{
    (void)seconds;
    return 0;
}

/* Sleeps, so that the virtual CPU halts, and returns as after a signal. Callers call it in a loop. */
int pause(void)
{
    sleep_long();
    return -1;
}

int sigaction(int signal, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    (void)signal, (void)action, (void)old;
    return 0;
}

int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    (void)how, (void)set, (void)old;
    return 0;
}

#undef _exit
_Noreturn void _exit(int code);

/* Prints the line first: the harness needs only that, even if the kernel does not power off. */
_Noreturn void fw_unikraft_exit(int code)
{
    tell(code);
    _exit(code);
}

#undef main
int main(int argc, char **argv)
{
    fw_line("FW guest");
    int code = fw_program_main(argc, argv);
    tell(code);
    return code;
}
