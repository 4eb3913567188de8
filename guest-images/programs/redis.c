/* An in-memory store that keeps nothing: the host's Redis, with a configuration of ours. */
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
