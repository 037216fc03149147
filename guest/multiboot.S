/* Entry by Multiboot 1 ("Multiboot Specification version 0.6.96" §3.1, §3.2). Linked into guest-multiboot.elf only:
 * a loader that supports both protocols would otherwise never use PVH. */

#include "boot.h"

    .equ MAGIC, 0x1badb002
    .equ FLAGS, 1 << 1                      /* we need mem_* and mmap_* */

    .section .multiboot, "a"
    .balign 4
    .long MAGIC
    .long FLAGS
    .long -(MAGIC + FLAGS)

/* 32-bit protected mode, flat segments, no paging, interrupts off. eax = 0x2badb002, ebx = multiboot information. */
    .section .text.boot, "ax"
    .code32
    .globl multiboot_entry
multiboot_entry:
    FIRST_INSTRUCTION_MARK
    mov $BOOT_MULTIBOOT, %edi
    jmp start32
