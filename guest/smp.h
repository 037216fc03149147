/* The other CPUs. They run one job and stop. */
#pragma once

#include <stdint.h>

struct cpu {
    uint32_t apic_id;
    uint64_t start_ticks; /* from SIPI to ring 3 */
    uint64_t iterations;  /* counted by its job */
    volatile uint32_t state;
};

/* Finds all CPUs, this one first, and fills in `cpus`, an array of MAX_CPUS. Returns their number; all fields except
 * the APIC IDs are 0. */
unsigned smp_find(struct cpu *cpus);

/* The local APIC ID of the CPU that calls it. */
uint32_t smp_own_apic_id(void);

/* A job that all CPUs run at the same time, until the time stamp counter has reached `until`. Returns the amount of
 * work done. */
typedef uint64_t smp_job(uint64_t until);

/* Starts CPU `index` (1 and up). It waits in ring 3 for smp_run. Returns NULL or an error. */
const char *smp_start(struct cpu *cpus, unsigned index);

/* Runs a job for `ticks` on this CPU and every started one; returns when all are done. */
void smp_run(struct cpu *cpus, unsigned count, smp_job *job, uint64_t ticks);

/* A job: computes, and counts its iterations. */
uint64_t smp_compute(uint64_t until);
