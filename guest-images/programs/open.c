/* File-system attacker: opens and closes one file forever. One operation is both calls. */
#include "fw.h"

#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int fd;
    fw_begin(argc, argv, NULL, 0);
    const char *path = fw_scratch(&fd);
    close(fd);
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--) {
            fd = open(path, O_RDONLY);
            if (fd < 0 || close(fd) != 0)
                fw_fail("open");
        }
        fw_batch_done(&ops);
    }
}
