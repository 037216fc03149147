/*
 * What a Linux guest does with an NVMe disk on two CPUs, each of which has its own queue: writes by one are read by the other. It
 * discards a range, zeroes another, and sees the disk get another size.
 */
#include <linux/fs.h>

static void run_on(int cpu)
{
	uint64_t mask = 1ull << cpu;

	must("run on a cpu", call(__NR_sched_setaffinity, 0, sizeof(mask), (long)&mask, 0, 0));
}

static uint64_t size_of(long disk)
{
	uint64_t size = 0;

	must("size", call(__NR_ioctl, disk, BLKGETSIZE64, (long)&size, 0, 0));
	return size;
}

static void say_number(const char *what, uint64_t number)
{
	text("guest: ");
	text(what);
	text(" ");
	hex(number, 8);
	say();
}

/* The first namespace of the other controller: which is the first depends on which of them starts sooner. */
static const char *other_nvme;

static long await_nvme(void)
{
	static const char *const paths[] = { "/dev/nvme0n1", "/dev/nvme1n1" };

	for (int i = 0;; i = !i) {
		long disk = open_file(paths[i], O_RDWR | O_DIRECT);

		other_nvme = paths[!i];
		if (disk >= 0)
			return disk;
		wait_a_little();
	}
}

/* Returns the disk. */
static long use_nvme(void)
{
	long disk = await_nvme();
	uint64_t range[2];
	uint64_t size = size_of(disk);

	exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, 0, 0));
	say_checksum("nvme read");
	for (int i = 1; i < 8; i++) {
		run_on(i % 2);
		fill(100 + i);
		exact("write", call(__NR_pwrite64, disk, (long)buffer, CHUNK, i * CHUNK, 0));
	}
	must("fsync", call(__NR_fsync, disk, 0, 0, 0, 0));
	for (int i = 1; i < 8; i++) {
		uint64_t expected;

		run_on((i + 1) % 2);
		fill(100 + i);
		expected = checksum(buffer, CHUNK);
		fill(0x99);
		exact("read back", call(__NR_pread64, disk, (long)buffer, CHUNK, i * CHUNK, 0));
		if (checksum(buffer, CHUNK) != expected)
			must("compare", -EIO);
	}
	/* Not of whole pages, in blocks of 512 bytes. */
	exact("read a part", 65536 - 512 + call(__NR_pread64, disk, (long)buffer + 1024, 512, 512, 0));
	range[0] = 8 * CHUNK;
	range[1] = 4 * CHUNK;
	must("discard", call(__NR_ioctl, disk, BLKDISCARD, (long)range, 0, 0));
	range[0] = 12 * CHUNK;
	range[1] = CHUNK;
	must("zero", call(__NR_ioctl, disk, BLKZEROOUT, (long)range, 0, 0));
	say_number("nvme used", size);
	while (size_of(disk) == size)
		wait_a_little();
	say_number("nvme resized", size_of(disk));
	return disk;
}
