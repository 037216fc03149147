/* The other CPUs. They run one job and stop. */
#pragma once

#include <stdint.h>

struct cpu {
    uint32_t apic_id;
    uint64_t start_ticks; /* from SIPI to ring 3 */
    uint64_t iterations;  /* what it computed */
    volatile uint32_t state;
};

/* All CPUs, this one first; `cpus` has room for MAX_CPUS. Returns how many; all fields except the APIC IDs are 0. */
unsigned smp_find(struct cpu *cpus);

/* Starts CPU `index` (1 and up). It waits in ring 3 for smp_compute. NULL, or an error. */
const char *smp_start(struct cpu *cpus, unsigned index);

/* Computes for `ticks` on this CPU and every started one; returns when all are done. */
void smp_compute(struct cpu *cpus, unsigned count, uint64_t ticks);
