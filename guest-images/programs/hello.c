/* Prints its line and exits. Used to measure boot times. */
#include "fw.h"

int main(int argc, char **argv)
{
    fw_begin(argc, argv, NULL, 0);
    return 0;
}
