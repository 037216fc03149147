/* Waiting for interrupts. The main program runs in ring 3 with interrupts off and takes them only while it waits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { IRQ_TIMER = 1u << 0, IRQ_SERIAL = 1u << 4, IRQ_SCI = 1u << 9, IRQ_MSI = 1u << 31 };

/* Exceptions get handlers; all interrupts stay masked. */
void interrupts_init(void);

/* Gets the interrupt controllers ready, which forgets what devices asked for before: call it before a device may
 * interrupt. Each of its port writes may be a VM exit, so it waits until somebody needs interrupts. */
void interrupts_start(void);

/* The same once more, whatever has been written to them since. */
void interrupts_restart(void);

/* Idles until an interrupt in `mask` arrives; returns those that did and forgets them. */
uint32_t interrupts_wait(uint32_t mask);

/* Forgets interrupts that arrived earlier. */
void interrupts_clear(uint32_t mask);

/* Lets IRQ_SCI come again, after its cause was removed. */
void interrupts_unmask_sci(void);

/* Lets the local APIC accept MSIs. */
void interrupts_enable_msi(void);

/* Calls `routine` in ring 0 (from ring 0 too) and returns what it leaves in rax. Where ring 0 is emulated, device
 * accesses are several times cheaper there than in ring 3, and everything else is a thousand times dearer. */
uint64_t ring0_call(const void *routine, uint64_t a, uint64_t b, uint64_t c);
