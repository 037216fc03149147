/*
 * First program of a Linux guest with classic PC devices: each network card gets an address by DHCP and exchanges chunks with its router, one
 * after the other. It reads a line from the keyboard on the console of the screen, and how the mouse is moved. Then it powers off.
 */
#include "dhcp.h"
#include <linux/input.h>
#include <linux/time_types.h>

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

/* Those of the cards, by the names that their drivers give them. */
static void say_interrupts(void)
{
	long file, count;

	must("mkdir", call(__NR_mkdir, (long)"/proc", 0755, 0, 0, 0));
	must("mount", call(__NR_mount, (long)"proc", (long)"/proc", (long)"proc", 0, 0));
	file = must("open interrupts", call(__NR_open, (long)"/proc/interrupts", O_RDONLY, 0, 0, 0));
	text("guest: interrupts");
	while ((count = must("read interrupts", call(__NR_read, file, (long)buffer, CHUNK - 1, 0, 0))) > 0) {
		buffer[count] = 0;
		for (char *at = (char *)buffer; *at; at++) {
			char *end = at;
			if (at[0] != 'e' || at[1] != 't' || at[2] != 'h')
				continue;
			while (*end > ' ' && *end != ',')
				end++;
			char after = *end;
			*end = 0;
			text(" ");
			text(at);
			*end = after;
			at = end - 1;
		}
	}
	say();
	call(__NR_close, file, 0, 0, 0, 0);
}

static char name[80];

/* Its input device, once the driver has found out what it is. */
static long open_mouse(void)
{
	static char path[] = "/dev/input/event0";
	struct __kernel_timespec nap = { 0, 500000000 };

	for (unsigned tries = 0; tries < 200; tries++) {
		for (unsigned i = 0; i < 8; i++) {
			path[sizeof(path) - 2] = '0' + i;
			long fd = call(__NR_open, (long)path, O_RDONLY, 0, 0, 0);
			if (fd < 0)
				continue;
			call(__NR_ioctl, fd, EVIOCGNAME(sizeof(name) - 1), (long)name, 0, 0);
			for (const char *at = name; *at; at++)
				if (at[0] == 'M' && at[1] == 'o' && at[2] == 'u' && at[3] == 's')
					return fd;
			call(__NR_close, fd, 0, 0, 0, 0);
		}
		call(__NR_nanosleep, (long)&nap, 0, 0, 0, 0);
	}
	return must("find the mouse", -19); /* ENODEV */
}

static void use_keyboard_and_mouse(void)
{
	static const char prompt[] = "type here: ";
	static char typed[80];
	struct input_event event;
	long tty, mouse, count;

	mount_dev();
	mouse = open_mouse();
	text("guest: mouse ");
	text(name);
	say();
	tty = must("open tty1", call(__NR_open, (long)"/dev/tty1", O_RDWR, 0, 0, 0));
	call(__NR_write, tty, (long)prompt, sizeof(prompt) - 1, 0, 0);
	text("guest: prompt");
	say();
	count = must("read tty1", call(__NR_read, tty, (long)typed, sizeof(typed) - 1, 0, 0));
	typed[count] = 0;
	text("guest: typed ");
	text(typed);
	say();
	do {
		must("read mouse", call(__NR_read, mouse, (long)&event, sizeof(event), 0, 0));
		if (event.type == EV_REL) {
			text("guest: moved ");
			hex(event.code, 2);
			text(" by ");
			hex(event.value, 4);
			say();
		}
	} while (event.type != EV_SYN);
}

void start(void)
{
	unsigned cards = 0;

	while (cards < 10 && use_card(cards))
		cards++;
	say_interrupts();
	use_keyboard_and_mouse();
	text("guest: done");
	say();
	power_off();
}
