/*
 * Memory attacker: runs STREAM's four vector kernels (McCalpin, "Memory bandwidth and machine balance in current high
 * performance computers", 1995) over three arrays forever. One operation is one kernel over the whole arrays.
 * `bytes=` is the size of each array. STREAM requires a total of at least four times the last-level cache.
 */
#include "fw.h"

#include <errno.h>
#include <stdlib.h>

#define SCALAR 0.4 /* keeps the values bounded; STREAM's 3.0 suits only ten rounds */

static double *a, *b, *c;
static size_t length;

static double *array(size_t bytes, double value)
{
    double *memory = malloc(bytes);
    if (memory == NULL)
        fw_fail("malloc");
    for (size_t i = 0; i < length; i++)
        memory[i] = value;
    return memory;
}

__attribute__((noinline)) static void kernel(uint64_t which)
{
    switch (which % 4) {
    case 0: /* copy */
        for (size_t i = 0; i < length; i++)
            c[i] = a[i];
        break;
    case 1: /* scale */
        for (size_t i = 0; i < length; i++)
            b[i] = SCALAR * c[i];
        break;
    case 2: /* add */
        for (size_t i = 0; i < length; i++)
            c[i] = a[i] + b[i];
        break;
    default: /* triad */
        for (size_t i = 0; i < length; i++)
            a[i] = b[i] + SCALAR * c[i];
    }
}

int main(int argc, char **argv)
{
    uint64_t bytes = UINT64_C(64) << 20;
    const struct fw_option options[] = {
        {.key = "bytes", .number = &bytes, .least = sizeof(double), .most = SIZE_MAX / 2},
    };
    fw_begin(argc, argv, options, 1);
    length = bytes / sizeof(double);
    a = array(bytes, 1.0);
    b = array(bytes, 2.0);
    c = array(bytes, 0.0);
    fw_line("FW ready");
    uint64_t next = 0;
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--)
            kernel(next++);
        fw_batch_done(&ops);
    }
}
