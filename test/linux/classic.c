/*
 * First program of a Linux guest with classic PC devices: each network card gets an address by DHCP and exchanges chunks with its router, one
 * after the other. Then it powers off.
 */
#include "dhcp.h"

#define CHUNKS 2

/* Of an interface that exists. */
static int use_card(unsigned number)
{
	struct ifreq request;
	long fd = must("socket", call(__NR_socket, AF_INET, SOCK_DGRAM, 0, 0, 0));

	__builtin_memcpy(card, "eth", 4);
	card[3] = '0' + number;
	request = card_request();
	if (call(__NR_ioctl, fd, SIOCGIFHWADDR, (long)&request, 0, 0) < 0)
		return 0;
	text("guest: card ");
	for (unsigned i = 0; i < 6; i++)
		hex((uint8_t)request.ifr_hwaddr.sa_data[i], 2);
	say();
	get_lease();
	exchange(must("socket", call(__NR_socket, AF_INET, SOCK_STREAM, 0, 0, 0)), lease.router, CHUNKS);
	return 1;
}

void start(void)
{
	unsigned cards = 0;

	while (cards < 10 && use_card(cards))
		cards++;
	text("guest: done");
	say();
	power_off();
}
