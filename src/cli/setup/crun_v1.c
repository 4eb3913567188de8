/* Starts crun on a host that mounts both versions of control groups, which crun rejects.
 *
 * It unmounts version 2 in its own mount namespace, so that crun finds only version 1. The host keeps its mounts.
 * The compiler's command defines CRUN, the path of crun. */

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#define UNIFIED "/sys/fs/cgroup/unified"

static int fail(const char *what)
{
	perror(what);
	return 125;
}

int main(int argc, char **argv)
{
	(void)argc;
	if (unshare(CLONE_NEWNS) != 0)
		return fail("crun-v1: unshare the mount namespace");
	/* A slave receives later mounts of the host, such as a container's root, and propagates none back. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		return fail("crun-v1: keep mounts from the host");
	/* EINVAL: it is not a mount point anymore. */
	if (umount2(UNIFIED, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
		return fail("crun-v1: unmount " UNIFIED);
	execv(CRUN, argv);
	return fail("crun-v1: start " CRUN);
}
