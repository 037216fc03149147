/*
 * First program of a Linux guest whose disk comes and goes: it says what it finds, and powers off after two rounds.
 */
#include "guest.h"
#include <errno.h>
#include <linux/time_types.h>

#define ROUNDS 2

static long open_now(void)
{
	return call(__NR_open, (long)"/dev/vda", O_RDONLY | O_DIRECT, 0, 0, 0);
}

static void wait_a_little(void)
{
	struct __kernel_timespec tenth = { 0, 100000000 };

	call(__NR_nanosleep, (long)&tenth, 0, 0, 0, 0);
}

void start(void)
{
	mount_dev();
	for (unsigned round = 0; round < ROUNDS; round++) {
		long disk;

		text("guest: no disk");
		say();
		while ((disk = open_now()) == -ENOENT || disk == -ENXIO)
			wait_a_little();
		must("open", disk);
		exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, 0, 0));
		call(__NR_close, disk, 0, 0, 0, 0);
		text("guest: disk ");
		hex(checksum(buffer, CHUNK), 16);
		say();
		for (;;) {
			disk = open_now();
			if (disk < 0)
				break;
			call(__NR_close, disk, 0, 0, 0, 0);
			wait_a_little();
		}
	}
	text("guest: done");
	say();
	power_off();
}
