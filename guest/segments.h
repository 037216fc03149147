/* Selectors and vectors. Shared between C and assembly. */
#pragma once

/* The order of Linux's GDT: KVM variants that run ring 3 natively and emulate ring 0 expect these user selectors. */
#define SEL_CODE32 0x08
#define SEL_CODE64 0x10
#define SEL_DATA 0x18
#define SEL_USER_DATA (0x28 | 3)
#define SEL_USER_CODE64 (0x30 | 3)
#define SEL_TSS 0x40 /* 16 bytes per CPU from here on */

#define MAX_CPUS 64
#define GDT_SIZE (SEL_TSS + 16 * MAX_CPUS)

/* RFLAGS of ring 3: interrupts are off, and only taken in wait_for_interrupt. */
#define USER_RFLAGS 0x0002

#define VECTOR_RING0_GATE 3 /* INT3, #BP */
#define VECTOR_PIC 0x20     /* IRQ 0-15 of the two 8259s */
#define VECTOR_MSI 0x40
#define VECTOR_SPURIOUS 0xff

#define TSS_SIZE 104
#define IO_BITMAP_SIZE (65536 / 8 + 1)

/* Where the other CPUs start: an unused page below 1 MiB. */
#define TRAMPOLINE 0x8000
