/* virtio-rng (virtio 1.3 §5.4). */
#pragma once

#include <stdint.h>

/* Fills `buffer` with random bytes from the device. NULL, or an error. */
const char *rng_read(void *buffer, uint32_t size);

/* The device was used by something else: the next read resets it. */
void rng_forget(void);
