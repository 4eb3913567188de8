/* Unikraft's Nginx with this project's configuration. In lib-nginx, the main function is nginx_main. */
#include "server.h"

int nginx_main(int argc, char **argv);

int main(int argc, char **argv)
{
    /* A unikernel has no second process. */
    static char *arguments[] = {"nginx", "-p", "/fw/server", "-c", "/fw/server/nginx.conf", "-g", "master_process off;", NULL};
    server_begin(argc, argv, 80);
    return nginx_main(sizeof arguments / sizeof *arguments - 1, arguments);
}
