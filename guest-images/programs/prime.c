/* CPU attacker: tests every number up to a billion for primality, then starts again. */
#include "fw.h"

#define LAST UINT32_C(1000000000)

/* Uses trial division, which needs no memory, so that only the core is loaded. */
static int is_prime(uint32_t number)
{
    if (number % 2 == 0)
        return number == 2;
    for (uint32_t divisor = 3; divisor * divisor <= number; divisor += 2)
        if (number % divisor == 0)
            return 0;
    return 1;
}

int main(int argc, char **argv)
{
    fw_begin(argc, argv, NULL, 0);
    uint32_t number = 2;
    volatile uint32_t found = 0; /* keeps the compiler from dropping the work */
    fw_line("FW ready");
    struct fw_ops ops = FW_OPS_BEGIN;
    for (;;) {
        for (uint64_t i = ops.batch; i > 0; i--) {
            found += (uint32_t)is_prime(number);
            number = number < LAST ? number + 1 : 2;
        }
        fw_batch_done(&ops);
    }
}
