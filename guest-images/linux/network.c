/* Sets up the network with ioctls (netdevice(7), arp(7)), without any tool. */
#include "init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICE "eth0"

struct network {
    struct in_addr address, mask, gateway;
    unsigned char mac[6];
};

static int parse(const char *text, struct network *network)
{
    char address[16], gateway[16];
    unsigned prefix;
    int end = -1;
    unsigned char *mac = network->mac;
    int count = sscanf(text, "%15[0-9.]/%u,%15[0-9.],%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", address, &prefix, gateway, &mac[0],
                       &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &end);
    if (count != 9 || text[end] != '\0' || prefix < 1 || prefix > 32)
        return 0;
    network->mask.s_addr = htonl(UINT32_MAX << (32 - prefix));
    return inet_pton(AF_INET, address, &network->address) == 1 && inet_pton(AF_INET, gateway, &network->gateway) == 1;
}

static struct sockaddr internet(struct in_addr address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};
    struct sockaddr plain;
    memcpy(&plain, &in, sizeof plain);
    return plain;
}

static void control(int fd, unsigned long request, void *argument, const char *what)
{
    if (ioctl(fd, request, argument) != 0)
        fail(what);
}

static void bring_up(int fd, const char *device)
{
    struct ifreq request = {0};
    strcpy(request.ifr_name, device);
    control(fd, SIOCGIFFLAGS, &request, device);
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    control(fd, SIOCSIFFLAGS, &request, device);
}

/* The file does not exist if the kernel has no IPv6. */
static void turn_off_ipv6(void)
{
    int fd = open("/proc/sys/net/ipv6/conf/" DEVICE "/disable_ipv6", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "1", 1) != 1)
        fail("disable_ipv6");
    close(fd);
}

static void set_address(int fd, const struct network *network)
{
    struct ifreq request = {.ifr_name = DEVICE};
    request.ifr_addr = internet(network->address);
    control(fd, SIOCSIFADDR, &request, "address of " DEVICE);
    request.ifr_netmask = internet(network->mask);
    control(fd, SIOCSIFNETMASK, &request, "netmask of " DEVICE);
}

/* Sets the gateway's MAC address, so that no packet waits for ARP. */
static void set_neighbour(int fd, const struct network *network)
{
    struct arpreq entry = {.arp_flags = ATF_PERM | ATF_COM, .arp_dev = DEVICE};
    entry.arp_pa = internet(network->gateway);
    entry.arp_ha.sa_family = ARPHRD_ETHER;
    memcpy(entry.arp_ha.sa_data, network->mac, sizeof network->mac);
    control(fd, SIOCSARP, &entry, "neighbour");
}

static void set_route(int fd, const struct network *network)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    route.rt_dst = route.rt_genmask = internet((struct in_addr){.s_addr = INADDR_ANY});
    route.rt_gateway = internet(network->gateway);
    control(fd, SIOCADDRT, &route, "default route");
}

void bring_up_network(const char *text)
{
    struct network network;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    bring_up(fd, "lo");
    if (text != NULL) {
        if (!parse(text, &network))
            fail_because("fw.net", "not ADDRESS/PREFIX,GATEWAY,MAC");
        turn_off_ipv6();
        set_address(fd, &network);
        bring_up(fd, DEVICE);
        set_neighbour(fd, &network);
        set_route(fd, &network);
    }
    close(fd);
}
