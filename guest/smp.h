/* The other CPUs. They run one job and stop. */
#pragma once

#include <stdint.h>

struct cpu {
    uint32_t apic_id;
    uint64_t start_ticks; /* from SIPI to ring 3 */
    uint64_t iterations;  /* what its job counted */
    volatile uint32_t state;
};

/* All CPUs, this one first; `cpus` has room for MAX_CPUS. Returns how many; all fields except the APIC IDs are 0. */
unsigned smp_find(struct cpu *cpus);

/* What all CPUs do at once: until the time stamp counter has reached `until`. Returns how much of it was done. */
typedef uint64_t smp_job(uint64_t until);

/* Starts CPU `index` (1 and up). It waits in ring 3 for smp_run. NULL, or an error. */
const char *smp_start(struct cpu *cpus, unsigned index);

/* Does a job for `ticks` on this CPU and every started one; returns when all are done. */
void smp_run(struct cpu *cpus, unsigned count, smp_job *job, uint64_t ticks);
