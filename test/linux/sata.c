/*
 * First program of a Linux guest with a SATA disk and CD drive: it uses both, another disk that comes and goes, and then the
 * first one for as long as it may.
 */
#include "guest.h"
#include "drives.h"
#include "rounds.h"

void start(void)
{
	long disk = use_drives();

	use_added_disk();
	say_only("removed");
	go_round(disk);
}
