/* A hostile guest. */
#pragma once

#include <stdint.h>

/* Broken virtqueues on the first disk. Returns NULL, or why it could not continue. */
const char *rubbish_ring(void);

/* `count` random reads and writes of device registers in memory BARs and of PCI configuration space. */
const char *rubbish_registers(uint64_t seed, uint64_t count);

/* `count` random reads and writes of I/O ports, except those that stop the machine. */
const char *rubbish_ports(uint64_t seed, uint64_t count);
