/*
 * First program of a Linux guest: reads random numbers, talks over a virtio console and a named port, uses much memory and
 * frees it, and then only lives, so that its kernel serves the balloon.
 */
#include <asm/termbits.h>
#include <asm/ioctls.h>

#include "guest.h"

#define USED (64 << 20)
#define PAGE 4096

struct timespec64 {
	int64_t seconds, nanoseconds;
};

static void put(long fd, const char *s, long count)
{
	must("write", call(__NR_write, fd, (long)s, count, 0, 0));
}

/* A line, or as much as comes at once, sent back with what comes before it. */
static void echo(long fd, const char *before, long count)
{
	static char line[128];
	long length = must("read", call(__NR_read, fd, (long)line, sizeof(line), 0, 0));

	put(fd, before, count);
	put(fd, line, length);
}

static long open_port(const char *path)
{
	return must(path, call(__NR_open, (long)path, O_RDWR, 0, 0, 0));
}

/* Waits until the terminal at the other end has another size than at first, and says which. */
static void say_size(long fd)
{
	struct timespec64 moment = { 0, 20000000 };
	struct {
		uint16_t rows, columns, x, y;
	} first, size;

	must("get size", call(__NR_ioctl, fd, TIOCGWINSZ, (long)&first, 0, 0));
	put(fd, "hvc0 size? ", 11);
	do {
		call(__NR_nanosleep, (long)&moment, 0, 0, 0, 0);
		must("get size", call(__NR_ioctl, fd, TIOCGWINSZ, (long)&size, 0, 0));
	} while (size.rows == first.rows && size.columns == first.columns);
	text("guest: size ");
	hex(size.columns, 4);
	text(" ");
	hex(size.rows, 4);
	say();
}

void start(void)
{
	struct timespec64 moment = {0, 200000000};
	uint64_t random = 0;
	long rng, console, port, memory;

	mount_dev();
	rng = must("open hwrng", call(__NR_open, (long)"/dev/hwrng", O_RDONLY, 0, 0, 0));
	must("read hwrng", call(__NR_read, rng, (long)&random, sizeof(random), 0, 0));
	text("guest: random ");
	hex(random, 16);
	say();
	console = open_port("/dev/hvc0");
	say_size(console);
	put(console, "hvc0 login: ", 12);
	echo(console, "hvc0 got ", 9);
	/* Of the third virtio device. */
	port = open_port("/dev/vport2p1");
	put(port, "port is open\n", 13);
	echo(port, "port got ", 9);
	memory = must("brk", call(__NR_brk, 0, 0, 0, 0, 0));
	must("brk", call(__NR_brk, memory + USED, 0, 0, 0, 0));
	for (long at = 0; at < USED; at += PAGE)
		*(volatile char *)(memory + at) = 1;
	must("brk", call(__NR_brk, memory, 0, 0, 0, 0));
	text("guest: ready");
	say();
	for (;;)
		call(__NR_nanosleep, (long)&moment, 0, 0, 0, 0);
}
