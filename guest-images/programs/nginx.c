/* A web server with one static page: the host's Nginx with this project's configuration. */
#include "serve.h"

int main(int argc, char **argv)
{
    const struct server nginx = {
        .binary = "nginx",
        .configuration = "nginx.conf",
        .leftover = "nginx.pid",
        .as_root = "user root;",
        .port = 80,
        .arguments = {"-e", "stderr", "-c", "@"},
    };
    serve(argc, argv, &nginx);
}
