#include "ide.h"

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "memory.h"
#include "pci.h"

/* Ports and bits: ATA/ATAPI-6 §7; the bus master: Programming Interface for Bus Master IDE Controller 1.0 §2. */
enum { DATA = 0x1f0, COUNT = 0x1f2, LBA = 0x1f3, DRIVE = 0x1f6, COMMAND = 0x1f7, CONTROL = 0x3f6 };
enum { BUSY = 0x80, REQUEST = 0x08, ERROR = 0x01, LBA_MODE = 0x40, NO_INTERRUPTS = 2 };
enum { IDENTIFY = 0xec, READ_DMA_EXT = 0x25 };
enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4, BM_START = 1, BM_READ = 8, BM_ACTIVE = 1, BM_FAILED = 2 };
enum { CLASS_IDE = 0x0101, TIMEOUT_MS = 10000, PART = 65536 };

/* An entry of the region table (§1.2): 0 bytes means 64 KiB, and a region must not cross a multiple of that. */
struct region {
    uint32_t address;
    uint16_t bytes, last;
};

static uint16_t master;
static struct region *table;
static uint64_t sectors, accesses;

static void put8(uint16_t port, uint8_t value)
{
    accesses++;
    out8(port, value);
}

static uint8_t get8(uint16_t port)
{
    accesses++;
    return in8(port);
}

/* Waits until these bits of a port have this value. */
static bool wait(uint16_t port, uint8_t bits, uint8_t value)
{
    uint64_t begin = rdtsc(), limit = ms_to_ticks(TIMEOUT_MS);
    while ((get8(port) & bits) != value)
        if (rdtsc() - begin > limit)
            return false;
    return true;
}

static const char *identify(void)
{
    uint16_t words[IDE_SECTOR / 2];
    put8(DRIVE, LBA_MODE);
    put8(COMMAND, IDENTIFY);
    if (!wait(COMMAND, BUSY | REQUEST, REQUEST))
        return "the drive does not answer";
    for (unsigned i = 0; i < IDE_SECTOR / 2; i++)
        words[i] = in16(DATA);
    sectors = words[100] | (uint64_t)words[101] << 16 | (uint64_t)words[102] << 32;
    return sectors ? NULL : "the drive has no 48-bit addresses";
}

const char *ide_open(void)
{
    const struct pci_function *function = NULL;
    for (unsigned i = 0; i < pci_function_count && !function; i++)
        if (pci_functions[i].class_code >> 8 == CLASS_IDE)
            function = &pci_functions[i];
    if (!function)
        return "no IDE controller";
    master = (uint16_t)(pci_read32(function, PCI_BAR0 + 4 * 4) & ~3u);
    pci_write16(function, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    tsc_khz(); /* calibrates on the first call */
    if (!table) {
        table = memory_alloc(2 * sizeof *table, 4096);
        for (unsigned i = 0; i < 2; i++)
            table[i].address = (uint32_t)(uint64_t)memory_alloc(PART, PART);
    }
    put8(CONTROL, NO_INTERRUPTS);
    return identify();
}

uint64_t ide_capacity(void) { return sectors; }
uint64_t ide_accesses(void) { return accesses; }

const char *ide_read(uint64_t sector, uint32_t count)
{
    uint32_t bytes = count * IDE_SECTOR, first = bytes < PART ? bytes : PART;
    table[0].bytes = (uint16_t)first, table[0].last = bytes > PART ? 0 : 0x8000;
    table[1].bytes = (uint16_t)(bytes - first), table[1].last = 0x8000;
    accesses++;
    out32(master + BM_TABLE, (uint32_t)(uint64_t)table);
    put8(master + BM_COMMAND, BM_READ);
    put8(master + BM_STATUS, get8(master + BM_STATUS) | 6); /* writing 1 clears them */
    put8(DRIVE, LBA_MODE);
    /* The upper halves first (ATA/ATAPI-6 §6.2). */
    put8(COUNT, (uint8_t)(count >> 8));
    for (unsigned i = 0; i < 3; i++)
        put8(LBA + i, (uint8_t)(sector >> (24 + 8 * i)));
    put8(COUNT, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++)
        put8(LBA + i, (uint8_t)(sector >> (8 * i)));
    put8(COMMAND, READ_DMA_EXT);
    put8(master + BM_COMMAND, BM_READ | BM_START);
    if (!wait(master + BM_STATUS, BM_ACTIVE, 0) || !wait(COMMAND, BUSY, 0))
        return "a read does not end";
    uint8_t failed = (get8(COMMAND) & ERROR) | (get8(master + BM_STATUS) & BM_FAILED);
    put8(master + BM_COMMAND, BM_READ);
    return failed ? "a read has failed" : NULL;
}
