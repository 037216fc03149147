/*
 * First program of a Linux guest with an IDE disk, an IDE CD drive and a floppy drive: it reads all of them, writes to those that can be written, and
 * opens the tray. It asks its TPM for random numbers. Before all that it draws on its screen, and says what its virtio input devices report. Then
 * it powers off.
 */
#include "guest.h"
#include <linux/cdrom.h>
#include <linux/fb.h>
#include <linux/input.h>
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

/* The input device of this name; its driver has found it before this program starts. */
static long open_input(const char *wanted)
{
	static char path[] = "/dev/input/event0";
	char name[80];

	for (path[sizeof(path) - 2] = '0'; path[sizeof(path) - 2] <= '9'; path[sizeof(path) - 2]++) {
		long fd = call(__NR_open, (long)path, O_RDONLY, 0, 0, 0);
		const char *a = name, *b = wanted;

		if (fd < 0)
			continue;
		must("read its name", call(__NR_ioctl, fd, EVIOCGNAME(sizeof(name)), (long)name, 0, 0));
		while (*a && *a == *b)
			a++, b++;
		if (*a == *b)
			return fd;
		call(__NR_close, fd, 0, 0, 0, 0);
	}
	return must(wanted, -19); /* ENODEV */
}

/* What it reports, up to the release of a key or a button: one line for each update. */
static void say_events(const char *what, long fd, uint16_t last)
{
	struct input_event event;
	int done = 0;

	do {
		text("guest: ");
		text(what);
		do {
			must("read input", call(__NR_read, fd, (long)&event, sizeof(event), 0, 0));
			text(" ");
			hex(event.type, 2);
			text(":");
			hex(event.code, 3);
			text("=");
			hex(event.value, 8);
			done |= event.type == EV_KEY && event.code == last && event.value == 0;
		} while (event.type != EV_SYN);
		say();
	} while (!done);
}

/* Pointer events come from the mouse until its driver gives it up, and then from the tablet. */
static void use_input(void)
{
	static const char device[] = "virtio2";
	struct input_absinfo axis;
	long keyboard = open_input("vring virtio keyboard");
	long tablet = open_input("vring virtio tablet");
	long mouse = open_input("vring virtio mouse");
	long unbind;

	must("read an axis", call(__NR_ioctl, tablet, EVIOCGABS(ABS_Y), (long)&axis, 0, 0));
	text("guest: axis ");
	hex(axis.minimum, 4);
	text("-");
	hex(axis.maximum, 4);
	say();
	say_events("keyboard", keyboard, KEY_CAPSLOCK);
	say_events("mouse", mouse, BTN_LEFT);
	must("mkdir", call(__NR_mkdir, (long)"/sys", 0755, 0, 0, 0));
	must("mount", call(__NR_mount, (long)"sys", (long)"/sys", (long)"sysfs", 0, 0));
	unbind = must("open unbind", call(__NR_open, (long)"/sys/bus/virtio/drivers/virtio_input/unbind", O_WRONLY, 0, 0, 0));
	must("unbind", call(__NR_write, unbind, (long)device, sizeof(device) - 1, 0, 0));
	text("guest: no mouse");
	say();
	say_events("tablet", tablet, BTN_RIGHT);
}

void start(void)
{
	long drive;

	mount_dev();
	draw();
	use_input();
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
