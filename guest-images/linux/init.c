/*
 * PID 1 of the initial RAM disk, and the service that runs the program in Debian. The kernel's command line has
 * fw.run=PATH for the program, fw.net=… for the network, fw.root=DEVICE to start Debian first, and the program's
 * arguments after `--`.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_ARGUMENTS 64
#define COMMAND_BYTES 16384

static void mount_kernel_files(void)
{
    mount_at("/proc", "proc", NULL);
    mount_at("/sys", "sysfs", NULL);
    mount_at("/dev", "devtmpfs", "mode=0755");
}

static void mount_memory(void)
{
    mount_at("/tmp", "tmpfs", "mode=1777");
    mount_at("/dev/shm", "tmpfs", "mode=1777");
}

/* The role of the machine's first process. */
static _Noreturn void first_role(void)
{
    static char *command[MOST_ARGUMENTS + 1];
    make_raw(STDOUT_FILENO);
    say("FW guest");
    mount_kernel_files();
    const char *network = option("fw.net"), *disk = option("fw.root");
    command[0] = (char *)option("fw.run");
    if (command[0] == NULL)
        fail_because("fw.run", "not on the kernel's command line");
    command[arguments(command + 1, MOST_ARGUMENTS - 1) + 1] = NULL;
    if (sethostname("featherweight", strlen("featherweight")) != 0)
        fail("hostname");
    load_modules(network != NULL, disk != NULL);
    bring_up_network(network);
    if (disk != NULL)
        switch_root(disk, command);
    mount_memory();
    run(command);
}

/* Reads the program and its arguments from the file that the first process has written. */
static void read_command(const char *path, char *text, char **command)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, COMMAND_BYTES - 1);
    if (length < 0)
        fail(path);
    text[length] = '\0';
    size_t count = 0;
    for (char *at = text; at < text + length && count < MOST_ARGUMENTS; at += strlen(at) + 1)
        command[count++] = at;
    command[count] = NULL;
    if (count == 0)
        fail_because(path, "empty");
    close(fd);
}

/* The role of Debian's service: `init run FILE CONSOLE`. */
static _Noreturn void second_role(const char *file, const char *console)
{
    static char text[COMMAND_BYTES];
    static char *command[MOST_ARGUMENTS + 1];
    int fd = open(console, O_WRONLY | O_NOCTTY);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        fail(console);
    if (fd > STDERR_FILENO)
        close(fd);
    make_raw(STDOUT_FILENO);
    read_command(file, text, command);
    run(command);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        second_role(argv[2], argv[3]);
    if (getpid() == 1)
        first_role();
    fail_because(argv[0], "is the first process of a guest, or its service: run FILE CONSOLE");
}
