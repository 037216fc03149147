/* Gets a card an address by DHCP (RFC 2131). Includes exchange.h. */
#include <linux/route.h>

#include "exchange.h"

#define BOOTP_BYTES 240
#define DISCOVER 1
#define REQUEST 3

static uint8_t message[1500];
static uint8_t mac[6];

/* What DHCP said, in network byte order. */
static struct {
	uint32_t address, mask, router, server;
} lease;

static uint32_t word(const uint8_t *bytes)
{
	uint32_t value;

	__builtin_memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint8_t *option(uint8_t *at, uint8_t code, uint32_t value)
{
	*at++ = code;
	*at++ = sizeof(value);
	__builtin_memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static void ask(long fd, uint8_t kind)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = 67 << 8, .sin_addr.s_addr = 0xffffffff };
	static const uint8_t start[] = { 1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80 /* answer by broadcast */ };
	static const uint8_t magic[] = { 0x63, 0x82, 0x53, 0x63, 53, 1 };
	struct iovec part = { .iov_base = message, .iov_len = 300 };
	struct msghdr packet = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &part, .msg_iovlen = 1 };
	uint8_t *at = message + BOOTP_BYTES - 4;

	__builtin_memset(message, 0, sizeof(message));
	__builtin_memcpy(message, start, sizeof(start));
	__builtin_memcpy(message + 28, mac, sizeof(mac));
	__builtin_memcpy(at, magic, sizeof(magic));
	at += sizeof(magic);
	*at++ = kind;
	if (kind == REQUEST) {
		at = option(at, 50, lease.address);
		at = option(at, 54, lease.server);
	}
	/* Mask and router. */
	*at++ = 55;
	*at++ = 2;
	*at++ = 1;
	*at++ = 3;
	*at++ = 255;
	must("ask", call(__NR_sendmsg, fd, (long)&packet, 0, 0, 0));
}

static void read_options(long count)
{
	for (long at = BOOTP_BYTES; at + 6 <= count && message[at] != 255;) {
		if (message[at] == 0) {
			at++;
			continue;
		}
		uint32_t value = word(message + at + 2);

		switch (message[at]) {
		case 1:
			lease.mask = value;
			break;
		case 3:
			lease.router = value;
			break;
		case 54:
			lease.server = value;
			break;
		}
		at += 2 + message[at + 1];
	}
}

/* Asks, and again every two seconds: what is sent before the link is up is lost. */
static void get_answer(long fd, uint8_t kind)
{
	long count;

	ask(fd, kind);
	do {
		count = call(__NR_read, fd, (long)message, sizeof(message), 0, 0);
		if (count == -11) /* EAGAIN */
			ask(fd, kind);
		else
			must("await an answer", count);
	} while (count < BOOTP_BYTES || message[0] != 2 || word(message + 4) != 0xefbeadde);
	lease.address = word(message + 16);
	read_options(count);
}

static void configure(long fd)
{
	set_address(fd, SIOCSIFADDR, lease.address);
	set_address(fd, SIOCSIFNETMASK, lease.mask);
}

/* Packets for other networks go to the router. */
static inline void add_route(long fd)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	((struct sockaddr_in *)&route.rt_dst)->sin_family = AF_INET;
	((struct sockaddr_in *)&route.rt_genmask)->sin_family = AF_INET;
	((struct sockaddr_in *)&route.rt_gateway)->sin_family = AF_INET;
	((struct sockaddr_in *)&route.rt_gateway)->sin_addr.s_addr = lease.router;
	must("add route", call(__NR_ioctl, fd, SIOCADDRT, (long)&route, 0, 0));
}

/* Brings the card up, and configures what DHCP offers. @returns a socket for more */
static long get_lease(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = 68 << 8 };
	struct ifreq request = card_request();
	long fd = must("socket", call(__NR_socket, AF_INET, SOCK_DGRAM, 0, 0, 0));
	struct {
		int64_t seconds, microseconds;
	} patience = { 2, 0 };
	int on = 1;

	must("get address", call(__NR_ioctl, fd, SIOCGIFHWADDR, (long)&request, 0, 0));
	__builtin_memcpy(mac, request.ifr_hwaddr.sa_data, sizeof(mac));
	bring_up(fd);
	must("broadcast", call(__NR_setsockopt, fd, SOL_SOCKET, SO_BROADCAST, (long)&on, sizeof(on)));
	must("bind to the card", call(__NR_setsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, (long)card, sizeof(card)));
	must("bind", call(__NR_bind, fd, (long)&own, sizeof(own), 0, 0));
	must("limit waiting", call(__NR_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, (long)&patience, sizeof(patience)));
	get_answer(fd, DISCOVER);
	get_answer(fd, REQUEST);
	configure(fd);
	text("guest: address ");
	hex(__builtin_bswap32(lease.address), 8);
	say();
	return fd;
}
