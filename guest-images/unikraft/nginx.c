/* Unikraft's Nginx with a configuration of ours. lib-nginx calls its main function nginx_main. */
#include "server.h"

int nginx_main(int argc, char **argv);

int main(int argc, char **argv)
{
    /* No second process: it is a unikernel. */
    static char *arguments[] = {"nginx", "-p", "/fw/server", "-c", "/fw/server/nginx.conf", "-g", "master_process off;", NULL};
    server_begin(argc, argv, 80);
    return nginx_main(sizeof arguments / sizeof *arguments - 1, arguments);
}
