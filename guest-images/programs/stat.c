/* File-system attacker: reads the metadata of one file forever. */
#include "fw.h"

#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct stat metadata;
    int fd;
    fw_begin(argc, argv, NULL, 0);
    const char *path = fw_scratch(&fd);
    close(fd);
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--)
            if (stat(path, &metadata) != 0)
                fw_fail("stat");
        fw_batch_done(&ops);
    }
}
