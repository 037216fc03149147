/* Physical memory, identity-mapped. */
#pragma once

#include <stdint.h>

/* Returns zeroed memory that is never freed. Stops the guest with a message if none is left. */
void *memory_alloc(uint64_t size, uint64_t align);

/* The remaining memory, for buffers: the caller may use it exclusively until the command ends. */
void *memory_scratch(uint64_t *size);

/* Maps device registers at `address`: 0-4 GiB is always mapped, anything above is mapped here. */
void memory_map_device(uint64_t address, uint64_t size);
