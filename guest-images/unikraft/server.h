/*
 * Functions that the two servers of Unikraft images share. Unlike serve.c, there is no starter, because there is only
 * one process. The configuration is rendered when the image is built. The arguments of other platforms are accepted and
 * checked. `FW ready` is not printed: a server is ready when its port answers.
 */
#ifndef FW_UNIKRAFT_SERVER_H
#define FW_UNIKRAFT_SERVER_H

#include "fw.h"

/* Prints `FW main` and parses the arguments; `port=` must be the port of the built image. */
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
