/*
 * A Linux guest writes to disks and reads them back, round after round, for as long as all that it reads is what it wrote.
 */

/* A round writes one of them, and reads that of the round before as well. */
#define SLOTS 8
#define MAX_DISKS 2

static void check(const char *what, uint64_t round, uint64_t expected)
{
	uint64_t found = checksum(buffer, CHUNK);

	if (found == expected)
		return;
	text("guest: wrong ");
	text(what);
	hex(round, 8);
	say();
	power_off();
}

/* Returns the checksum of what it has written. */
static uint64_t use_in_round(long disk, uint64_t round, uint64_t previous)
{
	long at = round % SLOTS * CHUNK;
	uint64_t written;

	fill(round * 0x9e3779b97f4a7c15);
	written = checksum(buffer, CHUNK);
	exact("write", call(__NR_pwrite64, disk, (long)buffer, CHUNK, at, 0));
	fill(1);
	exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, at, 0));
	check("round ", round, written);
	if (round > 1) {
		at = (round - 1) % SLOTS * CHUNK;
		exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, at, 0));
		check("round before ", round, previous);
	}
	return written;
}

static void go_round_of(const long *disks, int count)
{
	uint64_t previous[MAX_DISKS] = { 0 };

	for (uint64_t round = 1;; round++) {
		for (int i = 0; i < count; i++)
			previous[i] = use_in_round(disks[i], round, previous[i]);
		text("guest: round ");
		hex(round, 8);
		say();
	}
}

static inline void go_round(long disk)
{
	go_round_of(&disk, 1);
}
