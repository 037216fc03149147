/* virtio-rng (virtio 1.3 §5.4). */
#pragma once

#include <stdint.h>

/* Fills `buffer` with random bytes from the device. Returns NULL or an error. */
const char *rng_read(void *buffer, uint32_t size);

/* Notes that something else used the device: the next read resets it. */
void rng_forget(void);
