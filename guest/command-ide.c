/* The ide command: how fast an IDE drive reads by DMA. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "ide.h"
#include "print.h"
#include "text.h"

const char *command_ide(unsigned count, char **words)
{
    uint64_t ms, size;
    if (count != 4 || !text_equal(words[1], "read") || !parse_number(words[2], &size) ||
        !parse_time_ms(words[3], &ms) || size % IDE_SECTOR || size == 0 || size > IDE_MAX_SECTORS * IDE_SECTOR)
        return "usage: ide read SIZE TIME, of at most 128k";
    const char *error = ide_open();
    if (error)
        return error;
    uint32_t sectors = (uint32_t)(size / IDE_SECTOR);
    if (ide_capacity() < sectors)
        return "the drive is smaller than that";
    uint64_t begin = rdtsc(), limit = ms_to_ticks(ms), before = ide_accesses(), next = 0, reads = 0;
    while (!error && rdtsc() - begin < limit) {
        next = next + sectors > ide_capacity() ? 0 : next;
        error = ide_read(next, sectors);
        next += sectors;
        reads++;
    }
    if (error)
        return error;
    uint64_t us = ticks_to_ns(rdtsc() - begin) / 1000 + 1;
    print("result ide-read size=%lu requests=%lu us=%lu mbs=%lu accesses=%lu\n", size, reads, us, reads * size / us,
          ide_accesses() - before);
    return NULL;
}
