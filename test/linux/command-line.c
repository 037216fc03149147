/*
 * First program of a Linux guest that a boot loader has started: it prints the kernel's command line, and powers off.
 */
#include "guest.h"

void start(void)
{
	long file, count;

	must("mkdir", call(__NR_mkdir, (long)"/proc", 0755, 0, 0, 0));
	must("mount", call(__NR_mount, (long)"proc", (long)"/proc", (long)"proc", 0, 0));
	file = must("open", call(__NR_open, (long)"/proc/cmdline", O_RDONLY, 0, 0, 0));
	count = must("read", call(__NR_read, file, (long)buffer, 200, 0, 0));
	buffer[count > 0 ? count - 1 : 0] = 0;
	text("guest: started with ");
	text((const char *)buffer);
	say();
	power_off();
}
