/* The first drive of a PIIX-like IDE controller, at the ports of PCs: reads by bus-master DMA, polling. */
#pragma once

#include <stdint.h>

enum { IDE_SECTOR = 512, IDE_MAX_SECTORS = 256 };

/* Returns NULL or an error. */
const char *ide_open(void);

/* Sectors of the drive. */
uint64_t ide_capacity(void);

/* Reads `count` sectors, at most IDE_MAX_SECTORS, into its own memory. Returns NULL or an error. */
const char *ide_read(uint64_t sector, uint32_t count);

/* Port accesses so far, each of which is an exit. */
uint64_t ide_accesses(void);
