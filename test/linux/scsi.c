/*
 * First program of a Linux guest with a SCSI disk and a CD drive: it uses both, and waits for a disk that comes and goes.
 */
#include "guest.h"
#include "drives.h"

void start(void)
{
	use_drives();
	for (;;)
		use_added_disk("/dev/sdb");
}
