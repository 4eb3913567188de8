/*
 * File-system attacker: writes the same 4 KiB of one file forever. pwrite at offset 0 makes an operation a single
 * system call, and the file does not grow.
 */
#include "fw.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    static char buffer[4096];
    int fd;
    fw_begin(argc, argv, NULL, 0);
    fw_scratch(&fd);
    fw_remove_scratch(); /* the descriptor suffices, and no exit leaves a file behind */
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--)
            if (pwrite(fd, buffer, sizeof buffer, 0) != (ssize_t)sizeof buffer)
                fw_fail("write");
        fw_batch_done(&ops);
    }
}
