/* virtio-rng (virtio 1.3 §5.4). */
#pragma once

#include <stdint.h>

/* Fills `buffer` with random bytes from the device. NULL, or what went wrong. */
const char *rng_read(void *buffer, uint32_t size);

/* Something else has used the device: the next read resets it. */
void rng_forget(void);
