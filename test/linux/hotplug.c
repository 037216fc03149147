/*
 * First program of a Linux guest whose disk comes and goes, again and again: it says what it finds, then writes and reads back until
 * the disk is gone, and says what it has written.
 */
#include "guest.h"
#include <errno.h>
#include <linux/time_types.h>

/* Where it writes: beside what it has found. */
#define FIRST 1
#define PLACES 15

static long open_now(void)
{
	return call(__NR_open, (long)"/dev/vda", O_RDWR | O_DIRECT, 0, 0, 0);
}

static void wait_a_little(void)
{
	struct __kernel_timespec tenth = { 0, 100000000 };

	call(__NR_nanosleep, (long)&tenth, 0, 0, 0, 0);
}

/* A disk that is gone has no bytes, and what was on its way fails. */
static int is_gone(const char *what, long result)
{
	if (result == 0 || result == -ENOSPC || result == -EIO || result == -ENODEV || result == -ENXIO)
		return 1;
	exact(what, result);
	return 0;
}

/* Returns how many writes were read back as they were. */
static unsigned long use(long disk)
{
	for (unsigned long done = 0;; done++) {
		long at = (FIRST + done % PLACES) * CHUNK;
		uint64_t written;

		fill(done + 1);
		written = checksum(buffer, CHUNK);
		if (is_gone("write", call(__NR_pwrite64, disk, (long)buffer, CHUNK, at, 0)))
			return done;
		fill(0);
		if (is_gone("read back", call(__NR_pread64, disk, (long)buffer, CHUNK, at, 0)))
			return done;
		if (checksum(buffer, CHUNK) != written)
			must("compare", -EIO);
	}
}

void start(void)
{
	mount_dev();
	for (;;) {
		unsigned long done;
		long disk;

		text("guest: no disk");
		say();
		while ((disk = open_now()) == -ENOENT || disk == -ENXIO)
			wait_a_little();
		must("open", disk);
		exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, 0, 0));
		text("guest: disk ");
		hex(checksum(buffer, CHUNK), 16);
		say();
		done = use(disk);
		call(__NR_close, disk, 0, 0, 0, 0);
		text("guest: wrote ");
		hex(done, 8);
		say();
	}
}
