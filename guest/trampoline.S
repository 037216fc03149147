/* How the other CPUs start: smp.c copies this to TRAMPOLINE and sends them there by SIPI (Intel SDM volume 3,
 * "Multiple-Processor (MP) Initialization"). */

#include "segments.h"

    .section .text
    .code16
    .globl trampoline, trampoline_end
trampoline:                                 /* real mode, cs:ip = TRAMPOLINE >> 4 : 0 */
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl pointer - trampoline
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $SEL_CODE32, $ap_protected
pointer:
    .word GDT_SIZE - 1
    .long gdt
trampoline_end:

    .code32
ap_protected:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov $ap_long, %esi
    jmp enter_long_mode

/* From here on as in start.S, with the values from smp.c in ap_cpu. */
    .code64
ap_long:
    lidt idt_pointer
    mov ap_tss_selector, %eax
    ltr %ax
    mov $SEL_USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov ap_ring0_stack, %rsp
    push $SEL_USER_DATA
    push ap_stack
    push $USER_RFLAGS
    push $SEL_USER_CODE64
    push $ap_ring3
    iretq

ap_ring3:
    mov ap_cpu, %rdi
    call ap_main
    ud2                                     /* ap_main does not return */

/* A CPU waits here for the next INIT. */
    .globl ap_park
ap_park:
    cli
1:  hlt
    jmp 1b
