/*
 * First program of a Linux guest in a network with DHCP: it asks for an address (RFC 2131), configures that and the route, connects to a server
 * outside of its network, receives and checks what that sends, sends as much back, and powers off.
 */
#include "dhcp.h"

/* 203.0.113.9, in network byte order. */
#define SERVER 0x097100cb
#define CHUNKS 16

void start(void)
{
	add_route(get_lease());
	exchange(must("socket", call(__NR_socket, AF_INET, SOCK_STREAM, 0, 0, 0)), SERVER, CHUNKS);
	power_off();
}
