/* What guests with a network card do with a server: each sends the other its chunks. Includes guest.h. */
#include <linux/if.h>
#include <linux/in.h>
#include <linux/sockios.h>

#include "guest.h"

/* 9000, in network byte order. */
#define PORT 0x2823

/* The card that they use. */
static char card[IFNAMSIZ] = "eth0";

static inline struct ifreq card_request(void)
{
	struct ifreq request = {};

	__builtin_memcpy(request.ifr_name, card, sizeof(card));
	return request;
}

/* Sets an address of the card, in network byte order, by SIOCSIFADDR or its kin. */
static inline void set_address(long fd, long request, uint32_t address)
{
	struct ifreq change = card_request();
	struct sockaddr_in *value = (struct sockaddr_in *)&change.ifr_addr;

	value->sin_family = AF_INET;
	value->sin_addr.s_addr = address;
	must("set address", call(__NR_ioctl, fd, request, (long)&change, 0, 0));
}

static inline void bring_up(long fd)
{
	struct ifreq up = card_request();

	up.ifr_flags = IFF_UP | IFF_RUNNING;
	must("bring a card up", call(__NR_ioctl, fd, SIOCSIFFLAGS, (long)&up, 0, 0));
}

/*
 * Connects to the server, receives so many chunks and says their checksum, sends as many, each filled from its number, and closes its side. It
 * waits until the server, which has everything then, closes the other.
 */
static inline void exchange(long fd, uint32_t server, unsigned chunks)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = PORT, .sin_addr.s_addr = server };
	uint64_t hash = NO_BYTES;

	must("connect", call(__NR_connect, fd, (long)&to, sizeof(to), 0, 0));
	for (long left = chunks * CHUNK; left > 0;) {
		long count = must("read", call(__NR_read, fd, (long)buffer, left < CHUNK ? left : CHUNK, 0, 0));

		if (count == 0)
			must("read", -5); /* EIO */
		hash = checksum_on(hash, buffer, count);
		left -= count;
	}
	text("guest: received ");
	hex(hash, 16);
	say();
	for (unsigned chunk = 1; chunk <= chunks; chunk++) {
		fill(chunk);
		for (long sent = 0; sent < CHUNK;)
			sent += must("write", call(__NR_write, fd, (long)buffer + sent, CHUNK - sent, 0, 0));
	}
	must("close", call(__NR_shutdown, fd, 1 /* SHUT_WR */, 0, 0, 0));
	must("await the end", call(__NR_read, fd, (long)buffer, 1, 0, 0));
	text("guest: sent");
	say();
}
