/*
 * First program of a Linux guest with a SATA disk and CD drive, and an NVMe disk: it uses them all, other disks that come and go, and then
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
	use_added_disk(other_nvme);
	say_only("removed namespace");
	use_added_disk("/dev/sdb");
	say_only("removed");
	go_round_of(disks, 2);
}
