/*
 * First program of a Linux guest with a SCSI disk and a CD drive: it uses both, and waits for a disk that comes and goes.
 */
#include "guest.h"
#include "drives.h"

void start(void)
{
	use_drives();
	for (;;) {
		long added;

		say_only("no disk");
		added = await_disk("/dev/sdb", O_RDWR | O_DIRECT);
		exact("read", call(__NR_pread64, added, (long)buffer, CHUNK, 0, 0));
		say_checksum("added");
		while (call(__NR_pread64, added, (long)buffer, CHUNK, 0, 0) == CHUNK)
			;
		call(__NR_close, added, 0, 0, 0, 0);
		while (open_file("/dev/sdb", O_RDONLY) >= 0)
			wait_a_little();
	}
}
