/*
 * First program of a Linux guest with an IDE disk, an IDE CD drive and a floppy drive: it reads all of them, writes to those that can be written, and
 * opens the tray. It asks its TPM for random numbers. Before all that it draws on its screen. Then it powers off.
 */
#include "guest.h"
#include <linux/cdrom.h>
#include <linux/fb.h>
#include <linux/kd.h>
#include <sys/mman.h>

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

/* The pixels of the frame buffer, each from its place; the console draws no more. */
static void draw(void)
{
	struct fb_var_screeninfo mode;
	struct fb_fix_screeninfo layout;
	long tty = must("open tty1", call(__NR_open, (long)"/dev/tty1", O_RDWR, 0, 0, 0));
	long fb = must("open fb0", call(__NR_open, (long)"/dev/fb0", O_RDWR, 0, 0, 0));
	uint8_t *pixels;

	must("take the screen", call(__NR_ioctl, tty, KDSETMODE, KD_GRAPHICS, 0, 0));
	must("read its mode", call(__NR_ioctl, fb, FBIOGET_VSCREENINFO, (long)&mode, 0, 0));
	must("read its layout", call(__NR_ioctl, fb, FBIOGET_FSCREENINFO, (long)&layout, 0, 0));
	pixels = (uint8_t *)must("map it", call(__NR_mmap, 0, (long)layout.line_length * mode.yres,
						PROT_READ | PROT_WRITE, MAP_SHARED, fb));
	for (uint32_t y = 0; y < mode.yres; y++)
		for (uint32_t x = 0; x < mode.xres; x++)
			((uint32_t *)(pixels + y * layout.line_length))[x] = (x * 0x10305 ^ y * 0x70201) & 0xffffff;
	text("guest: screen ");
	text((const char *)layout.id);
	text(" ");
	hex(mode.xres, 4);
	hex(mode.yres, 4);
	hex(mode.bits_per_pixel, 2);
	say();
}

void start(void)
{
	long drive;

	mount_dev();
	draw();
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
