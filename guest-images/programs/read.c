/*
 * File-system attacker: reads the same 4 KiB of one file forever. pread at offset 0 makes an operation a single system
 * call.
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
