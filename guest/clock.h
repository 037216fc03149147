/* Time: the TSC for measuring, the 8254 (PIT) for waiting. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The TSC's frequency, measured on the first call. */
uint64_t tsc_khz(void);

uint64_t ticks_to_ns(uint64_t ticks);
uint64_t ms_to_ticks(uint64_t ms);

/* Idles for that long, or until an interrupt in `wake` arrives. Returns the interrupts, 0 on timeout. */
uint32_t sleep_ms(uint64_t ms, uint32_t wake);

/* Between these two, the timer interrupts 18 times a second. sleep_ms ends that too. */
void clock_start_ticks(void);
void clock_stop_ticks(void);
