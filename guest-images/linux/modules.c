/*
 * Loads kernel modules. `/modules/list` has a line for each module: its uses, separated by commas, and its file name.
 * Dependencies come first.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER "/modules/"

/* ACPI's name of virtio devices other than PCI devices. */
#define VIRTIO_MMIO "LNRO0005"

/* Whether the folder has an entry whose name begins with `prefix`. */
static int has_entry(const char *folder, const char *prefix)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            break;
    closedir(dir);
    return entry != NULL;
}

static void load(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
        fail(path);
    close(fd);
}

/* Whether one of the comma-separated `uses` is in the list `needs`, which ends with NULL. */
static int is_needed(char *uses, const char *const *needs)
{
    for (char *use = strtok(uses, ","); use != NULL; use = strtok(NULL, ","))
        for (const char *const *need = needs; *need != NULL; need++)
            if (strcmp(use, *need) == 0)
                return 1;
    return 0;
}

void load_modules(int network, int disk)
{
    const char *needs[5] = {NULL};
    size_t count = 0;
    char uses[64], name[128];
    if (!network && !disk)
        return;
    if (network)
        needs[count++] = "net";
    if (disk)
        needs[count++] = "disk";
    if (has_entry("/sys/bus/pci/devices", ""))
        needs[count++] = "pci";
    if (has_entry("/sys/bus/platform/devices", VIRTIO_MMIO))
        needs[count++] = "mmio";
    FILE *list = fopen(FOLDER "list", "re");
    if (list == NULL)
        fail(FOLDER "list");
    while (fscanf(list, "%63s %127s", uses, name) == 2)
        if (is_needed(uses, needs))
            load(name);
    fclose(list);
}
