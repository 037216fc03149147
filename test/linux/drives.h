/*
 * What Linux guests do with a disk, sda, and a CD drive, through whichever of the kernel's drivers: they use both, mount the CD, open the tray and
 * wait for another medium, and for another disk that comes and goes. They say what they find, step by step.
 */
#include <errno.h>
#include <linux/cdrom.h>
#include <linux/time_types.h>

static void wait_a_little(void)
{
	struct __kernel_timespec tenth = { 0, 100000000 };

	call(__NR_nanosleep, (long)&tenth, 0, 0, 0, 0);
}

static long open_file(const char *path, long flags)
{
	return call(__NR_open, (long)path, flags, 0, 0, 0);
}

/* Waits for a disk that comes. */
static long await_disk(const char *path, long flags)
{
	long disk;

	while ((disk = open_file(path, flags)) == -ENOENT || disk == -ENXIO)
		wait_a_little();
	return must(path, disk);
}

static void say_checksum(const char *what)
{
	text("guest: ");
	text(what);
	text(" ");
	hex(checksum(buffer, CHUNK), 16);
	say();
}

static void say_only(const char *what)
{
	text("guest: ");
	text(what);
	say();
}

/* Of a file on a file system. */
static void say_file(const char *what, const char *path)
{
	long file = must(path, open_file(path, O_RDONLY));
	long count = must("read", call(__NR_read, file, (long)buffer, CHUNK, 0, 0));

	text("guest: ");
	text(what);
	text(" ");
	for (long i = 0; i < count && buffer[i] >= ' '; i++) {
		char letter[2] = { (char)buffer[i], 0 };

		text(letter);
	}
	say();
	call(__NR_close, file, 0, 0, 0, 0);
}

static void mount_cd(void)
{
	must("mount cd", call(__NR_mount, (long)"/dev/sr0", (long)"/cd", (long)"iso9660", 1 /* MS_RDONLY */, 0));
}

/* Returns the disk. */
static long use_drives(void)
{
	long disk, drive;

	mount_dev();
	must("mkdir", call(__NR_mkdir, (long)"/cd", 0755, 0, 0, 0));
	disk = await_disk("/dev/sda", O_RDWR | O_DIRECT);
	exact("read", call(__NR_pread64, disk, (long)buffer, CHUNK, 0, 0));
	say_checksum("read");
	for (int i = 1; i < 8; i++) {
		fill(i);
		exact("write", call(__NR_pwrite64, disk, (long)buffer, CHUNK, i * CHUNK, 0));
	}
	must("fsync", call(__NR_fsync, disk, 0, 0, 0, 0));
	fill(0x99);
	exact("read back", call(__NR_pread64, disk, (long)buffer, CHUNK, 7 * CHUNK, 0));
	say_checksum("read-back");

	mount_cd();
	say_file("cd", "/cd/name.txt");
	must("umount", call(__NR_umount2, (long)"/cd", 0, 0, 0, 0));
	drive = must("open drive", open_file("/dev/sr0", O_RDONLY | O_NONBLOCK));
	must("lock", call(__NR_ioctl, drive, CDROM_LOCKDOOR, 1, 0, 0));
	say_only("locked");
	/* A line comes once the host has tried. */
	must("await the host", call(__NR_read, 0, (long)buffer, 1, 0, 0));
	must("unlock", call(__NR_ioctl, drive, CDROM_LOCKDOOR, 0, 0, 0));
	must("eject", call(__NR_ioctl, drive, CDROMEJECT, 0, 0, 0));
	say_only("ejected");
	while (call(__NR_ioctl, drive, CDROM_DRIVE_STATUS, 0, 0, 0) != CDS_DISC_OK)
		wait_a_little();
	call(__NR_close, drive, 0, 0, 0, 0);
	mount_cd();
	say_file("cd", "/cd/name.txt");
	must("umount", call(__NR_umount2, (long)"/cd", 0, 0, 0, 0));
	return disk;
}

/* Waits for another disk, and uses it until it is gone. */
static void use_added_disk(const char *path)
{
	long added;

	say_only("no disk");
	added = await_disk(path, O_RDWR | O_DIRECT);
	exact("read", call(__NR_pread64, added, (long)buffer, CHUNK, 0, 0));
	say_checksum("added");
	while (call(__NR_pread64, added, (long)buffer, CHUNK, 0, 0) == CHUNK)
		;
	call(__NR_close, added, 0, 0, 0, 0);
	while (open_file(path, O_RDONLY) >= 0)
		wait_a_little();
}
