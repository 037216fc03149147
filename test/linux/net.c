/*
 * First program of a Linux guest with a network card: it configures that, connects to its host, receives and checks what the host sends,
 * sends as much back, and powers off.
 */
#include <linux/if.h>
#include <linux/in.h>
#include <linux/sockios.h>

#include "guest.h"

/* 10.9.0.1, port 9000, and this guest's 10.9.0.2/24, in network byte order. */
#define HOST 0x0100090a
#define GUEST 0x0200090a
#define MASK 0x00ffffff
#define PORT 0x2823
#define CHUNKS 16

static uint64_t checksum_on(uint64_t hash, const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

static void set_address(long fd, long request, uint32_t address)
{
	struct ifreq change = { .ifr_name = "eth0" };
	struct sockaddr_in *value = (struct sockaddr_in *)&change.ifr_addr;

	value->sin_family = 2; /* AF_INET */
	value->sin_addr.s_addr = address;
	must("set address", call(__NR_ioctl, fd, request, (long)&change, 0, 0));
}

static void configure(long fd)
{
	struct ifreq up = { .ifr_name = "eth0" };

	set_address(fd, SIOCSIFADDR, GUEST);
	set_address(fd, SIOCSIFNETMASK, MASK);
	up.ifr_flags = IFF_UP | IFF_RUNNING;
	must("bring eth0 up", call(__NR_ioctl, fd, SIOCSIFFLAGS, (long)&up, 0, 0));
}

void start(void)
{
	struct sockaddr_in to = { .sin_family = 2 /* AF_INET */, .sin_port = PORT, .sin_addr.s_addr = HOST };
	uint64_t hash = 0xcbf29ce484222325;
	long fd = must("socket", call(__NR_socket, 2, 1 /* SOCK_STREAM */, 0, 0, 0));

	configure(fd);
	must("connect", call(__NR_connect, fd, (long)&to, sizeof(to), 0, 0));
	for (long left = CHUNKS * CHUNK; left > 0;) {
		long count = must("read", call(__NR_read, fd, (long)buffer, left < CHUNK ? left : CHUNK, 0, 0));

		if (count == 0)
			must("read", -5); /* EIO */
		hash = checksum_on(hash, buffer, count);
		left -= count;
	}
	text("guest: received ");
	hex(hash, 16);
	say();
	for (unsigned chunk = 1; chunk <= CHUNKS; chunk++) {
		fill(chunk);
		for (long sent = 0; sent < CHUNK;)
			sent += must("write", call(__NR_write, fd, (long)buffer + sent, CHUNK - sent, 0, 0));
	}
	/* The host closes when it has everything. */
	must("await the end", call(__NR_read, fd, (long)buffer, 1, 0, 0));
	text("guest: sent");
	say();
	power_off();
}
