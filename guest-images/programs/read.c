/*
 * File-system attacker: reads the same 4 KiB of one file for ever. At offset 0 each time (pread), so that an
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
    if (write(fd, buffer, sizeof buffer) != (ssize_t)sizeof buffer)
        fw_fail("write");
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--)
            if (pread(fd, buffer, sizeof buffer, 0) != (ssize_t)sizeof buffer)
                fw_fail("read");
        fw_batch_done(&ops);
    }
}
