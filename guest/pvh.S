/* Entry by the PVH boot protocol: Xen's "x86/HVM direct boot ABI", also supported by QEMU, Firecracker and vring. */

#include "boot.h"

    .section .note.pvh, "a", @note
    .balign 4
    .long 4                                 /* size of the name */
    .long 4                                 /* size of the descriptor */
    .long 18                                /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_entry

/* 32-bit protected mode, flat segments, no paging, interrupts off. ebx = physical address of struct hvm_start_info. */
    .section .text.boot, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    FIRST_INSTRUCTION_MARK
    mov $BOOT_PVH, %edi
    jmp start32
