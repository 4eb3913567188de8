/* Sleeps until it is ended. Used for background instances, and as the placebo in an attacker's place. */
#include "fw.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    fw_begin(argc, argv, NULL, 0);
    fw_line("FW ready");
    for (;;)
        pause();
}
