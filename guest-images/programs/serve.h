/*
 * Starts a server that was copied from the host into an image. It uses the image's own loader and libraries, so that
 * the same bytes run in a container and as a process. Only for Linux.
 *
 * An image has the loader and the libraries in `fw/lib`, and in `fw/server` the server, a template of its configuration
 * and its content. These files are never written: the rendered configuration and the server's data are in `dir=`. The
 * placeholders of a template are `@listen@`, `@port@`, `@dir@`, `@root@` (the image's root, without a slash at the end)
 * and `@user@` (`as_root` if the server starts as root, otherwise empty).
 */
#ifndef SERVE_H
#define SERVE_H

#include "fw.h"

#define SERVE_MOST_ARGUMENTS 8

/* The properties of a server. */
struct server {
    const char *binary;        /* the file name in `fw/server` */
    const char *configuration; /* the name of the template there, and of the rendered file in `dir=` */
    const char *leftover;      /* a file that the server may leave in `dir=`, or NULL */
    const char *as_root;       /* the value of `@user@` for root */
    uint64_t port;             /* the default of `port=` */
    const char *arguments[SERVE_MOST_ARGUMENTS]; /* without argv[0]; NULL at the end; `@` is the configuration */
};

/*
 * Parses `listen=ADDRESS` (IPv4; default 0.0.0.0) and `port=`, starts the server, and prints `FW ready` when it accepts
 * connections. SIGTERM, SIGINT and the deadline end the server and this program. If the server ends by itself or does
 * not listen within 30 seconds, this program prints `FW error`.
 */
_Noreturn void serve(int argc, char **argv, const struct server *server);

#endif
