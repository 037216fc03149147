/* Physical memory, which is mapped to itself. */
#pragma once

#include <stdint.h>

/* Zeroed memory that is never freed. Ends the guest with a message when there is none left. */
void *memory_alloc(uint64_t size, uint64_t align);

/* The memory that is left, for buffers: whoever uses it has it to itself until the command ends. */
void *memory_scratch(uint64_t *size);

/* Makes device registers at `address` reachable: 0-4 GiB is from the start, what is above is mapped here. */
void memory_map_device(uint64_t address, uint64_t size);
