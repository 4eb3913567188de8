/* Switches from the initial RAM disk to a complete system on a disk. */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT "/root"

static void join(char *out, const char *folder, const char *name)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        fail_because(name, "path too long");
}

static void copy_file(const char *from, const char *to, const struct stat *facts)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, facts->st_mode & 0777);
    if (in < 0 || out < 0)
        fail(to);
    for (off_t left = facts->st_size; left > 0;) {
        ssize_t sent = sendfile(out, in, NULL, (size_t)left);
        if (sent <= 0)
            fail(to);
        left -= sent;
    }
    close(in);
    close(out);
}

static void copy_tree(const char *from, const char *to)
{
    char source[PATH_MAX], target[PATH_MAX];
    DIR *dir = opendir(from);
    if (dir == NULL)
        fail(from);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat facts;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        join(source, from, entry->d_name);
        join(target, to, entry->d_name);
        if (lstat(source, &facts) != 0 || (S_ISDIR(facts.st_mode) && mkdir(target, 0755) != 0))
            fail(target);
        if (S_ISDIR(facts.st_mode))
            copy_tree(source, target);
        else
            copy_file(source, target, &facts);
    }
    closedir(dir);
}

static void write_command(command command)
{
    int fd = open(ROOT COMMAND_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    if (fd < 0)
        fail(COMMAND_FILE);
    for (; *command != NULL; command++)
        if (write(fd, *command, strlen(*command) + 1) < 0)
            fail(COMMAND_FILE);
    close(fd);
}

static void take_along(const char *path)
{
    char target[PATH_MAX];
    join(target, ROOT, path + 1);
    if (mount(path, target, NULL, MS_MOVE, NULL) != 0)
        fail(target);
}

_Noreturn void switch_root(const char *disk, command command)
{
    struct stat facts;
    char *const arguments[] = {"/sbin/init", NULL};
    if (mount(disk, ROOT, "ext4", MS_NOATIME, NULL) != 0)
        fail(disk);
    mount_at(ROOT "/run", "tmpfs", "mode=0755");
    mount_at(ROOT "/fw", "tmpfs", "mode=0755");
    copy_tree("/fw", ROOT "/fw");
    if (stat("/init", &facts) != 0)
        fail("/init");
    copy_file("/init", ROOT "/fw/init", &facts);
    write_command(command);
    take_along("/proc");
    take_along("/sys");
    take_along("/dev");
    if (chdir(ROOT) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
        fail("switch to " ROOT);
    execv(arguments[0], arguments);
    fail(arguments[0]);
}
