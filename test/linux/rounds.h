/*
 * A Linux guest writes to a disk and reads it back, round after round, for as long as all that it reads is what it wrote.
 */

/* A round writes one of them, and reads that of the round before as well. */
#define SLOTS 8

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

static void go_round(long disk)
{
	uint64_t previous = 0;

	for (uint64_t round = 1;; round++) {
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
		previous = written;
		text("guest: round ");
		hex(round, 8);
		say();
	}
}
