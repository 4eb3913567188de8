/* Starts crun where the host mounts both versions of control groups, which crun refuses.
 *
 * It runs in a mount namespace of its own without the second version, so that crun finds the first one only. The host
 * keeps its mounts. CRUN, the path of crun, is defined by whoever compiles this. */

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
	/* A slave still sees what the host mounts later, such as a container's root, and sends nothing back. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		return fail("crun-v1: keep mounts from the host");
	/* EINVAL: it is no mount point any more. */
	if (umount2(UNIFIED, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
		return fail("crun-v1: unmount " UNIFIED);
	execv(CRUN, argv);
	return fail("crun-v1: start " CRUN);
}
