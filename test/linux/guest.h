/*
 * What the first program of a Linux guest needs in place of a C library. Small, because every system call and page is
 * expensive if KVM emulates the guest's kernel.
 */
#include <asm/unistd.h>
#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdint.h>

#define CHUNK 65536

static uint8_t buffer[CHUNK] __attribute__((aligned(4096)));

/* A sixth argument, such as mmap's offset, is 0. */
static long call(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = 0;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static char line[256];
static unsigned length;

static void text(const char *s)
{
	while (*s && length < sizeof(line))
		line[length++] = *s++;
}

static void hex(uint64_t value, unsigned digits)
{
	while (digits-- && length < sizeof(line))
		line[length++] = "0123456789abcdef"[value >> (digits * 4) & 15];
}

/* One write per line: system calls are expensive. */
static void say(void)
{
	text("\n");
	call(__NR_write, 1, (long)line, length, 0, 0);
	length = 0;
}

/* What was printed may still be in the kernel, which does not wait for it before it powers off: TCSBRK waits for it, as tcdrain does. */
static __attribute__((noreturn)) void power_off(void)
{
	call(__NR_ioctl, 1, TCSBRK, 1, 0, 0);
	call(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF, 0, 0);
	for (;;)
		call(__NR_pause, 0, 0, 0, 0, 0);
}

static long must(const char *what, long result)
{
	if (result < 0) {
		text("guest: failed ");
		text(what);
		text(" errno ");
		hex(-result, 4);
		say();
		power_off();
	}
	return result;
}

/* FNV-1a, 64 bits: of no bytes, and with more of them. */
#define NO_BYTES 0xcbf29ce484222325

static inline uint64_t checksum_on(uint64_t hash, const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

static inline uint64_t checksum(const uint8_t *bytes, unsigned count)
{
	return checksum_on(NO_BYTES, bytes, count);
}

/* Fills the buffer from a seed: xorshift64. */
static inline void fill(uint64_t state)
{
	for (unsigned i = 0; i < CHUNK; i += sizeof(state)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		__builtin_memcpy(buffer + i, &state, sizeof(state));
	}
}

static inline void exact(const char *what, long result)
{
	if (must(what, result) != CHUNK)
		must(what, -5); /* EIO */
}

static inline void mount_dev(void)
{
	must("mount", call(__NR_mount, (long)"dev", (long)"/dev", (long)"devtmpfs", 0, 0));
}

/* Reads of it come from the disk, not from the page cache. */
static inline long open_disk(void)
{
	mount_dev();
	return must("open disk", call(__NR_open, (long)"/dev/vda", O_RDWR | O_DIRECT, 0, 0, 0));
}

void start(void);

/* The kernel aligns the stack as before a call instruction. */
__asm__(".globl _start\n_start:\n\tcall start\n");
