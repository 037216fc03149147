/* From the loader's 32-bit mode to long mode, and to main() in ring 3. Ring 0 stays this small because some hosts
 * emulate it, instruction by instruction, while ring 3 runs at full speed. */

#include "segments.h"

    .equ CR0_PG_NE_ET_PE, 0x80000031
    .equ CR4_PAE, 1 << 5
    .equ MSR_EFER, 0xc0000080
    .equ EFER_LME, 1 << 8

    .section .text.boot, "ax"
    .code32
/* edi = boot protocol, ebx = the loader's information. */
    .globl start32
start32:
    lgdt gdt_pointer
    mov $start64, %esi

/* Enables paging and long mode (Intel SDM volume 3, "Initializing IA-32e Mode"), and continues at esi. */
    .globl enter_long_mode
enter_long_mode:
    mov $pml4, %eax
    mov %eax, %cr3
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $CR0_PG_NE_ET_PE, %eax
    mov %eax, %cr0
    ljmp $SEL_CODE64, $1f
    .code64
1:  jmp *%rsi

start64:
    lidt idt_pointer
    mov $SEL_TSS, %eax
    ltr %ax
    mov $SEL_USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov $ring0_stack_end, %esp
    push $SEL_USER_DATA
    push $stack_end
    push $USER_RFLAGS
    push $SEL_USER_CODE64
    push $start_ring3
    iretq

start_ring3:
    mov %edi, %edx                          /* .bss is cleared here, at ring 3's speed */
    mov $bss_start, %edi
    mov $bss_size, %ecx
    xor %eax, %eax
    rep stosb
    mov %edx, %edi                          /* main(protocol, information) */
    mov %ebx, %esi
    call main
    ud2                                     /* main does not return */

/* Intel SDM volume 3, "Segment Descriptors". */
    .data
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff                /* SEL_CODE32 */
    .quad 0x00af9b000000ffff                /* SEL_CODE64 */
    .quad 0x00cf93000000ffff                /* SEL_DATA */
    .quad 0
    .quad 0x00cff3000000ffff                /* SEL_USER_DATA */
    .quad 0x00affb000000ffff                /* SEL_USER_CODE64 */
    .quad 0
    .word TSS_SIZE + IO_BITMAP_SIZE - 1, tss_bits_0_15       /* SEL_TSS of CPU 0: guest.ld splits the address */
    .byte tss_bits_16_23, 0x89, 0, tss_bits_24_31
    .quad 0
    .skip GDT_SIZE - (. - gdt)              /* the other CPUs' */

gdt_pointer:
    .word GDT_SIZE - 1
    .quad gdt

    .globl idt_pointer
idt_pointer:
    .word 256 * 16 - 1
    .quad idt

/* TSS of CPU 0 ("Task Management in 64-bit Mode"): the stack for ring 0, and an I/O permission bitmap that opens all
 * ports to ring 3. IOPL 3 would do that too, but hosts that run ring 3 natively and emulate ring 0 may ignore it. */
    .balign 16
    .globl tss
tss:
    .long 0
    .quad ring0_stack_end
    .skip TSS_SIZE - 14
    .word TSS_SIZE                          /* offset of the bitmap */
    .skip IO_BITMAP_SIZE - 1
    .byte 0xff                              /* ends the bitmap */

/* 0-4 GiB mapped to itself with 2 MiB pages, open to ring 3; filled in by the assembler, so that ring 0 needn't compute
 * it. memory.c adds mappings for devices above. */
    .equ TABLE, 0x007                       /* present, writable, user */
    .equ PAGE_2M, 0x087                     /* and page size */
    .balign 4096
    .globl pml4
pml4:
    .quad pdpt + TABLE
    .skip 4096 - 8
pdpt:
    .quad page_directories + TABLE
    .quad page_directories + 0x1000 + TABLE
    .quad page_directories + 0x2000 + TABLE
    .quad page_directories + 0x3000 + TABLE
    .skip 4096 - 4 * 8
page_directories:
    .set page, 0
    .rept 4 * 512
    .quad page + PAGE_2M
    .set page, page + 0x200000
    .endr

    .bss
    .balign 16
    .globl idt
idt:
    .skip 256 * 16
    .skip 4096
ring0_stack_end:
    .skip 16384
stack_end:
