#include "memory.h"

#include "boot.h"
#include "print.h"
#include "text.h"

enum { PAGE = 4096, LARGE_PAGE = 2 << 20 };

/* Page table entries, Intel SDM volume 3, "4-Level Paging and 5-Level Paging". */
enum { PRESENT = 1 << 0, WRITABLE = 1 << 1, USER = 1 << 2, UNCACHED = 1 << 4, LARGE = 1 << 7 };
#define ADDRESS_MASK 0x000ffffffffff000

extern char image_end[];
extern uint64_t pml4[512];

static uint64_t next_free;

static uint64_t align_up(uint64_t value, uint64_t align) { return (value + align - 1) & -align; }

void *memory_alloc(uint64_t size, uint64_t align)
{
    if (!next_free)
        next_free = (uint64_t)image_end;
    uint64_t address = align_up(next_free, align);
    if (address + size > boot.low_ram_end) {
        print("out of memory: %lu bytes wanted, RAM ends at %lx\n", size, boot.low_ram_end);
        asm volatile("ud2");
    }
    next_free = address + size;
    return memset((void *)address, 0, size);
}

void *memory_scratch(uint64_t *size)
{
    char *start = memory_alloc(0, PAGE);
    *size = boot.low_ram_end - (uint64_t)start;
    return start;
}

/* The table that `entry` points to, allocated if missing. */
static uint64_t *next_table(uint64_t *entry)
{
    if (!(*entry & PRESENT))
        *entry = (uint64_t)memory_alloc(PAGE, PAGE) | PRESENT | WRITABLE | USER;
    return (uint64_t *)(*entry & ADDRESS_MASK);
}

void memory_map_device(uint64_t address, uint64_t size)
{
    uint64_t end = align_up(address + size, LARGE_PAGE);
    for (address &= -(uint64_t)LARGE_PAGE; address < end; address += LARGE_PAGE) {
        uint64_t *pdpt = next_table(&pml4[address >> 39 & 511]);
        uint64_t *directory = next_table(&pdpt[address >> 30 & 511]);
        uint64_t *entry = &directory[address >> 21 & 511];
        if (!(*entry & PRESENT)) /* no TLB holds an entry that was not present */
            *entry = address | PRESENT | WRITABLE | USER | UNCACHED | LARGE;
    }
}
