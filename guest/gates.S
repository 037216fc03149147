/* The ring 0 code after startup: the gate for calls from ring 3, interrupts, exceptions.
 * Interrupts are on only at the HLT of wait_for_interrupt, so their handlers may clobber rax, like any call. */

#include "segments.h"

    .text
/* INT3 in ring 3: calls the routine at rax in ring 0, with its arguments in rdi, rsi, rdx as usual. INT3, because hosts
 * that emulate ring 0 lack INT n, and SYSCALL stays in ring 3 there. */
    .globl ring0_gate
ring0_gate:
    call *%rax
    iretq

/* Returns after an interrupt, immediately if one is pending. STI takes effect after HLT starts, so none is missed. */
    .globl wait_for_interrupt
wait_for_interrupt:
    sti
    hlt
    cli
    ret

/* Master 8259, IRQ 0-7. A spurious interrupt (IRQ 7) needs no end of interrupt; it is never unmasked. */
    .macro pic_handler irq
    .globl irq\irq
irq\irq:
    orl $(1 << \irq), interrupts_pending
    mov $0x20, %al                          /* non-specific end of interrupt */
    out %al, $0x20
    iretq
    .endm
    pic_handler 0
    pic_handler 4

/* ACPI's SCI, IRQ 9 at the slave 8259. It stays high until ring 3 has cleared its cause, so mask it until then. */
    .globl irq9
irq9:
    orl $(1 << 9), interrupts_pending
    mov $0xff, %al
    out %al, $0xa1
    mov $0x20, %al
    out %al, $0xa0
    out %al, $0x20
    iretq

/* MSI: signal end of interrupt to the local APIC. */
    .globl msi_handler
msi_handler:
    orl $(1 << 31), interrupts_pending
    mov $0xfee000b0, %eax
    movl $0, (%rax)
    iretq

    .globl spurious_handler
spurious_handler:
    iretq

/* Exceptions: creates uniform frames, {vector, error code, rip, cs, rflags, rsp, ss}, and reports. */
    .macro exception vector, has_error
exception\vector:
    .if !\has_error
    push $0
    .endif
    push $\vector
    jmp exception_common
    .endm
    .altmacro
    .set vector, 0
    .rept 32
    exception %vector, %((vector == 8) || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    .set vector, vector + 1
    .endr

exception_common:
    mov %rsp, %rdi
    mov %cr2, %rsi
    call exception_report

    .section .rodata
    .globl exception_handlers
exception_handlers:
    .set vector, 0
    .macro handler_address vector
    .quad exception\vector
    .endm
    .rept 32
    handler_address %vector
    .set vector, vector + 1
    .endr
