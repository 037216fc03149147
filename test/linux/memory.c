/*
 * First program of a Linux guest: uses much memory and frees it, reads random numbers, and then only lives, so that its kernel
 * serves the balloon.
 */
#include "guest.h"
#include <sys/mman.h>

#define USED (64 << 20)

struct timespec64 {
	int64_t seconds, nanoseconds;
};

void start(void)
{
	struct timespec64 moment = {0, 200000000};
	uint64_t random = 0;
	long memory, rng;

	mount_dev();
	rng = must("open hwrng", call(__NR_open, (long)"/dev/hwrng", O_RDONLY, 0, 0, 0));
	must("read hwrng", call(__NR_read, rng, (long)&random, sizeof(random), 0, 0));
	text("guest: random ");
	hex(random, 16);
	say();
	/* call() has five arguments: the sixth, an offset, is not looked at for anonymous memory. */
	memory = must("mmap", call(__NR_mmap, 0, USED, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1));
	must("munmap", call(__NR_munmap, memory, USED, 0, 0, 0));
	text("guest: ready");
	say();
	for (;;)
		call(__NR_nanosleep, (long)&moment, 0, 0, 0, 0);
}
