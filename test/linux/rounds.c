/*
 * First program of a Linux guest with a virtio-blk disk.
 */
#include "guest.h"
#include "rounds.h"

void start(void)
{
	go_round(open_disk());
}
