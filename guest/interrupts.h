/* Waiting for interrupts. The main program runs in ring 3 with interrupts off and only takes them while it waits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { IRQ_TIMER = 1u << 0, IRQ_SERIAL = 1u << 4, IRQ_SCI = 1u << 9, IRQ_MSI = 1u << 31 };

/* Exceptions get handlers; all interrupts stay masked. */
void interrupts_init(void);

/* Initializes the interrupt controllers, which drops pending interrupts: call it before a device may interrupt. Each
 * port write may be a VM exit, so this is deferred until interrupts are needed. */
void interrupts_start(void);

/* Initializes them again, whatever has been written to them in the meantime. */
void interrupts_restart(void);

/* Idles until an interrupt in `mask` arrives; returns and clears those that did. */
uint32_t interrupts_wait(uint32_t mask);

/* Clears interrupts that arrived earlier. */
void interrupts_clear(uint32_t mask);

/* Unmasks IRQ_SCI, after its cause was cleared. */
void interrupts_unmask_sci(void);

/* Lets the local APIC accept MSIs. */
void interrupts_enable_msi(void);

/* Calls `routine` in ring 0 (also from ring 0) and returns its rax. If ring 0 is emulated, device accesses are several
 * times cheaper there than in ring 3, and everything else is a thousand times slower. */
uint64_t ring0_call(const void *routine, uint64_t a, uint64_t b, uint64_t c);
