/* An in-memory store without persistence: the host's Redis with this project's configuration. */
#include "serve.h"

int main(int argc, char **argv)
{
    const struct server redis = {
        .binary = "redis-server",
        .configuration = "redis.conf",
        .as_root = "",
        .port = 6379,
        .arguments = {"@"},
    };
    serve(argc, argv, &redis);
}
