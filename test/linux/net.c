/*
 * First program of a Linux guest with a network card: it configures that, connects to its host, receives and checks what the host sends,
 * sends as much back, and powers off.
 */
#include "exchange.h"

/* 10.9.0.1, and this guest's 10.9.0.2/24, in network byte order. */
#define HOST 0x0100090a
#define GUEST 0x0200090a
#define MASK 0x00ffffff
#define CHUNKS 16

void start(void)
{
	long fd = must("socket", call(__NR_socket, AF_INET, SOCK_STREAM, 0, 0, 0));

	set_address(fd, SIOCSIFADDR, GUEST);
	set_address(fd, SIOCSIFNETMASK, MASK);
	bring_up(fd);
	exchange(fd, HOST, CHUNKS);
	power_off();
}
