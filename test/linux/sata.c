/*
 * First program of a Linux guest with a SATA disk and CD drive: it uses both, and then the disk for as long as it may.
 */
#include "guest.h"
#include "drives.h"
#include "rounds.h"

void start(void)
{
	go_round(use_drives());
}
