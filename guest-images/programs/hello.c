/* Prints its line and exits: what a boot time is measured with. */
#include "fw.h"

int main(int argc, char **argv)
{
    fw_begin(argc, argv, NULL, 0);
    return 0;
}
