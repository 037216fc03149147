/*
 * First program of a Linux guest with an IDE disk, an IDE CD drive and a floppy drive: it reads all of them, writes to those that can be written, and
 * opens the tray. It asks its TPM for random numbers. Then it powers off.
 */
#include "guest.h"
#include <linux/cdrom.h>

static void say_chunk(const char *what, const char *path, long flags, long at)
{
	long file = must(path, call(__NR_open, (long)path, flags, 0, 0, 0));

	exact(what, call(__NR_pread64, file, (long)buffer, CHUNK, at, 0));
	text("guest: ");
	text(what);
	text(" ");
	hex(checksum(buffer, CHUNK), 16);
	say();
	call(__NR_close, file, 0, 0, 0, 0);
}

static void write_chunk(const char *path, long flags, uint64_t seed, long at)
{
	long file = must(path, call(__NR_open, (long)path, flags, 0, 0, 0));

	fill(seed);
	exact("write", call(__NR_pwrite64, file, (long)buffer, CHUNK, at, 0));
	must("fsync", call(__NR_fsync, file, 0, 0, 0, 0));
	call(__NR_close, file, 0, 0, 0, 0);
}

/* By /dev/tpm0: a command, and its response. */
static void use_tpm(void)
{
	static const uint8_t get_random[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8 };
	long tpm = must("open tpm0", call(__NR_open, (long)"/dev/tpm0", O_RDWR, 0, 0, 0));
	long count;

	must("write tpm0", call(__NR_write, tpm, (long)get_random, sizeof(get_random), 0, 0));
	count = must("read tpm0", call(__NR_read, tpm, (long)buffer, CHUNK, 0, 0));
	text("guest: tpm ");
	for (long i = 0; i < count; i++)
		hex(buffer[i], 2);
	say();
	call(__NR_close, tpm, 0, 0, 0, 0);
}

void start(void)
{
	long drive;

	mount_dev();
	say_chunk("ide", "/dev/sda", O_RDONLY | O_DIRECT, 0);
	write_chunk("/dev/sda", O_RDWR | O_DIRECT, 1, CHUNK);
	say_chunk("cd", "/dev/sr0", O_RDONLY, CHUNK);
	say_chunk("floppy", "/dev/fd0", O_RDONLY, 0);
	write_chunk("/dev/fd0", O_RDWR, 2, CHUNK);
	use_tpm();
	drive = must("open drive", call(__NR_open, (long)"/dev/sr0", O_RDONLY | O_NONBLOCK, 0, 0, 0));
	must("eject", call(__NR_ioctl, drive, CDROMEJECT, 0, 0, 0));
	text("guest: ejected");
	say();
	power_off();
}
