/*
 * First program of a Linux guest with a SATA disk and CD drive, and an NVMe disk: it uses them all, another disk that comes and goes, and then
 * both disks for as long as it may.
 */
#include "guest.h"
#include "drives.h"
#include "nvme.h"
#include "rounds.h"

void start(void)
{
	long disks[2];

	disks[0] = use_drives();
	disks[1] = use_nvme();
	use_added_disk();
	say_only("removed");
	go_round_of(disks, 2);
}
