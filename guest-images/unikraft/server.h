/*
 * What the two servers of Unikraft images share. There is no starter as in serve.c: one process is all there is. The
 * configuration is rendered when the image is built; the arguments of other platforms are taken and checked. Nobody
 * is there to print `FW ready`: a server is ready when its port answers.
 */
#ifndef FW_UNIKRAFT_SERVER_H
#define FW_UNIKRAFT_SERVER_H

#include "fw.h"

/* Prints `FW main` and reads the arguments; `port=` must be the one that the image was built with. */
static void server_begin(int argc, char **argv, uint64_t port)
{
    const char *listen = "0.0.0.0";
    uint64_t asked = port;
    const struct fw_option options[] = {
        {.key = "listen", .text = &listen},
        {.key = "port", .number = &asked, .least = 1, .most = 65535},
    };
    fw_begin(argc, argv, options, sizeof options / sizeof *options);
    if (asked != port)
        fw_bad_argument("port", "the image was built with another one");
}

#endif
