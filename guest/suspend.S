/* Resuming from S3: firmware calls the waking vector in real mode (ACPI 6.5 §16.3.1), where suspend.c has copied
 * wake_trampoline, and the program continues where it saved its state, as with setjmp and longjmp. */

#include "segments.h"

    .section .text
    .code16
    .globl wake_trampoline, wake_trampoline_end
wake_trampoline:                            /* real mode, cs:ip = TRAMPOLINE >> 4 : 0 */
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl wake_pointer - wake_trampoline
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $SEL_CODE32, $wake_protected
wake_pointer:
    .word GDT_SIZE - 1
    .long gdt
wake_trampoline_end:

    .code32
wake_protected:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    movb $0x89, gdt + SEL_TSS + 5           /* clear the busy bit */
    mov $wake_long, %esi
    jmp enter_long_mode

    .code64
wake_long:
    lidt idt_pointer
    mov $SEL_TSS, %eax
    ltr %ax
    mov $SEL_USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov tss + 4, %rsp
    push $SEL_USER_DATA
    push saved_rsp
    push $USER_RFLAGS
    push $SEL_USER_CODE64
    push $wake_ring3
    iretq

wake_ring3:                                 /* with the registers that calls preserve */
    mov saved_rbx, %rbx
    mov saved_rbp, %rbp
    mov saved_r12, %r12
    mov saved_r13, %r13
    mov saved_r14, %r14
    mov saved_r15, %r15
    mov $1, %eax
    jmp *saved_rip

/* bool suspend_save(void): returns 0, and once more with 1 after waking up */
    .globl suspend_save
suspend_save:
    mov (%rsp), %rax
    mov %rax, saved_rip
    lea 8(%rsp), %rax
    mov %rax, saved_rsp
    mov %rbx, saved_rbx
    mov %rbp, saved_rbp
    mov %r12, saved_r12
    mov %r13, saved_r13
    mov %r14, saved_r14
    mov %r15, saved_r15
    xor %eax, %eax
    ret

    .bss
    .balign 8
saved_rip: .skip 8
saved_rsp: .skip 8
saved_rbx: .skip 8
saved_rbp: .skip 8
saved_r12: .skip 8
saved_r13: .skip 8
saved_r14: .skip 8
saved_r15: .skip 8
