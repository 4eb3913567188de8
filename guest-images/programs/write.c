/*
 * File-system attacker: writes the same 4 KiB of one file for ever. At offset 0 each time (pwrite), so that an
 * operation is one system call and the file does not grow.
 */
#include "fw.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    static char buffer[4096];
    int fd;
    fw_begin(argc, argv, NULL, 0);
    fw_scratch(&fd);
    fw_remove_scratch(); /* the descriptor suffices, and nothing is left behind however we end */
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--)
            if (pwrite(fd, buffer, sizeof buffer, 0) != (ssize_t)sizeof buffer)
                fw_fail("write");
        fw_batch_done(&ops);
    }
}
