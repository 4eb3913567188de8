/*
 * Unikraft's Redis with this project's configuration. In lib-redis, the main function is redis_server_main. As there,
 * it runs in its own thread, because the first thread has a small stack.
 */
#include "server.h"

#include <pthread.h>
#include <string.h>

#define STACK_BYTES (1 << 20)

int redis_server_main(int argc, char **argv);

static void *run(void *status)
{
    static char *arguments[] = {"redis-server", "/fw/server/redis.conf", NULL};
    *(int *)status = redis_server_main(sizeof arguments / sizeof *arguments - 1, arguments);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int status = 1;
    server_begin(argc, argv, 6379);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = pthread_create(&thread, &attributes, run, &status);
    if (error == 0)
        error = pthread_join(thread, NULL);
    if (error != 0)
        fw_line("FW error thread: %s", strerror(error));
    return status;
}
