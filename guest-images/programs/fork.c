/*
 * Process attacker: forks a child that exits at once, and waits for it. It is not a fork bomb: there are never more
 * than two processes. One operation is a whole round.
 */
#include "fw.h"

#include <sys/wait.h>
#include <unistd.h>

static void fork_and_wait(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child < 0)
        fw_fail("fork");
    if (waitpid(child, NULL, 0) != child)
        fw_fail("waitpid");
}

int main(int argc, char **argv)
{
    fw_begin(argc, argv, NULL, 0);
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--)
            fork_and_wait();
        fw_batch_done(&ops);
    }
}
