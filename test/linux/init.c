/*
 * First program of a Linux guest: it uses the disk and the random number device through the kernel's drivers, reports the
 * results on the console, and powers off.
 */
#include "guest.h"

static void say_checksum(const char *what)
{
	text("guest: ");
	text(what);
	hex(checksum(buffer, CHUNK), 16);
	say();
}

void start(void)
{
	uint64_t seed = 0;
	long disk, rng;

	disk = open_disk();
	rng = must("open hwrng", call(__NR_open, (long)"/dev/hwrng", O_RDONLY, 0, 0, 0));
	must("read hwrng", call(__NR_read, rng, (long)&seed, sizeof(seed), 0, 0));
	text("guest: random ");
	hex(seed, 16);
	say();

	exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, 0, 0));
	say_checksum("read ");
	fill(seed | 1);
	exact("write", call(__NR_pwrite64, disk, (long)buffer, CHUNK, CHUNK, 0));
	must("fsync", call(__NR_fsync, disk, 0, 0, 0, 0));
	say_checksum("written ");
	fill(1);
	exact("read back", call(__NR_pread64, disk, (long)buffer, CHUNK, CHUNK, 0));
	say_checksum("read-back ");
	power_off();
}
