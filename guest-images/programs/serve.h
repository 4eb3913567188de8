/*
 * A server of the host's in an image: started through the image's own loader with the image's own libraries, so that
 * the same bytes run in a container and as a plain process. For Linux.
 *
 * An image has the loader and the libraries in `fw/lib`, and in `fw/server` the server, its configuration as a template
 * and what it serves. Nothing of that is written to: the rendered configuration and whatever the server keeps lie in
 * `dir=`. In a template `@listen@`, `@port@`, `@dir@`, `@root@` (the image's root, without a slash at its end) and
 * `@user@` (its argument when the server starts as root, else nothing) are replaced.
 */
#ifndef SERVE_H
#define SERVE_H

#include "fw.h"

#define SERVE_MOST_ARGUMENTS 8

/* What tells one server from another. */
struct server {
    const char *binary;        /* its name in `fw/server` */
    const char *configuration; /* the name of its template there, and of the rendered one in `dir=` */
    const char *leftover;      /* what it may leave in `dir=`; NULL for nothing */
    const char *as_root;       /* what `@user@` becomes for root */
    uint64_t port;             /* where it listens unless `port=` says otherwise */
    const char *arguments[SERVE_MOST_ARGUMENTS]; /* without its own name; NULL at the end; `@` is the configuration */
};

/*
 * Reads `listen=ADDRESS` (IPv4, 0.0.0.0) and `port=`, starts the server, says `FW ready` when it accepts connections, and
 * ends it when this program is told to end, by SIGTERM, SIGINT or the deadline. A server that ends by itself, or does
 * not listen within half a minute, is `FW error`.
 */
_Noreturn void serve(int argc, char **argv, const struct server *server);

#endif
