/*
 * An option ROM with which a PC's firmware boots a Linux bzImage, or an image in that format (iPXE's ipxe.lkrn,
 * memdisk), at its real-mode entry point (Linux, Documentation/arch/x86/boot.rst). Image, initrd and command line are
 * items of fw_cfg, with the addresses where they belong; they are loaded by DMA. The VMM completes the checksum.
 */

#define FW_CFG_DMA_HIGH 0x514
#define FW_CFG_DMA_LOW 0x518
#define FW_CFG_READ 0x0a /* select, then read */
#define FW_CFG_ERROR 0x01000000 /* big endian */

#define KERNEL_ADDRESS 0x07
#define KERNEL_SIZE 0x08
#define KERNEL_DATA 0x11
#define INITRD_ADDRESS 0x0a
#define INITRD_SIZE 0x0b
#define INITRD_DATA 0x12
#define COMMAND_LINE_ADDRESS 0x13
#define COMMAND_LINE_SIZE 0x14
#define COMMAND_LINE_DATA 0x15
#define SETUP_ADDRESS 0x16
#define SETUP_SIZE 0x17
#define SETUP_DATA 0x18

#define RAMDISK_IMAGE 0x218 /* in the setup header */
#define STACK_SEGMENT 0x8000

    .code16
    .text
    .globl rom
rom:
    .word 0xaa55
    .byte (end - rom + 511) / 512
    lret /* initialization: nothing to do yet */

    .org 0x1a
    .word pnp

/* Plug and Play BIOS Specification 1.0A, 3.2: the expansion header. */
    .balign 16
pnp:
    .ascii "$PnP"
    .byte 1, 2
    .word 0
    .byte 0, 0
    .long 0
    .word manufacturer
    .word product
    .byte 0, 0, 0
    .byte 0
    .word 0, 0
    .word boot
    .word 0, 0

manufacturer:
    .asciz "vring"
product:
    .asciz "Linux kernel"
failure:
    .asciz "The kernel cannot be read.\r\n"

/* Loads an item to the address in another item. */
.macro load address, size, data
    movl $\size, %ebx
    call number
    movl %eax, %esi
    movl $\address, %ebx
    call number
    movl %eax, %edi
    movl %esi, %ecx
    movl $\data, %ebx
    call copy
.endm

boot:
    cli
    cld
    movw $STACK_SEGMENT, %ax
    movw %ax, %ss
    movl $0xfff0, %esp
    sti
    load SETUP_ADDRESS, SETUP_SIZE, SETUP_DATA
    load KERNEL_ADDRESS, KERNEL_SIZE, KERNEL_DATA
    load COMMAND_LINE_ADDRESS, COMMAND_LINE_SIZE, COMMAND_LINE_DATA

    movl $INITRD_SIZE, %ebx
    call number
    testl %eax, %eax
    jz enter
    movl %eax, %esi

    /* As high as allowed, but below the RAM that firmware has taken. */
    xorl %ecx, %ecx
    xorl %edx, %edx
    movw $0xe801, %ax
    int $0x15
    jc fail
    movzwl %dx, %eax
    shll $16, %eax /* 64 KiB each, from 16 MiB on */
    jz below
    addl $0x1000000, %eax
    jmp place
below:
    movzwl %cx, %eax
    shll $10, %eax
    addl $0x100000, %eax
place:
    subl %esi, %eax
    jc fail
    andl $~0xfff, %eax
    movl %eax, %edi
    movl $INITRD_ADDRESS, %ebx
    call number
    cmpl %eax, %edi
    jbe 1f
    movl %eax, %edi
1:
    movl $SETUP_ADDRESS, %ebx
    call number
    shrl $4, %eax
    movw %ax, %es
    movl %edi, %es:RAMDISK_IMAGE
    movl %esi, %ecx
    movl $INITRD_DATA, %ebx
    call copy

enter:
    movl $COMMAND_LINE_ADDRESS, %ebx
    call number
    movl %eax, %edi
    movl $SETUP_ADDRESS, %ebx
    call number
    subl %eax, %edi /* the end of the setup code's heap */
    subl $16, %edi
    shrl $4, %eax
    cli
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl %edi, %esp
    addw $0x20, %ax
    pushw %ax
    pushw $0
    xorl %ebx, %ebx
    lret

/* Returns the value of the 32-bit item %ebx in %eax. */
number:
    pushl %edi
    pushl $0
    call stack_address
    movl %eax, %edi
    movl $4, %ecx
    call copy
    popl %eax
    popl %edi
    ret

/* Reads %ecx bytes of the item %ebx to the address %edi. */
copy:
    movl %edi, %eax
    bswap %eax
    pushl %eax
    pushl $0
    bswap %ecx
    pushl %ecx
    shll $16, %ebx
    orl $FW_CFG_READ, %ebx
    bswap %ebx
    pushl %ebx
    xorl %eax, %eax
    movw $FW_CFG_DMA_HIGH, %dx
    outl %eax, %dx
    call stack_address
    bswap %eax
    movw $FW_CFG_DMA_LOW, %dx
    outl %eax, %dx
    movw %sp, %bp
1:
    movl (%bp), %eax
    testl %eax, %eax
    jz 2f
    cmpl $FW_CFG_ERROR, %eax
    je fail
    jmp 1b
2:
    addw $16, %sp
    ret

/* Returns the address of the value that the caller pushed last in %eax. */
stack_address:
    xorl %eax, %eax
    movw %ss, %ax
    shll $4, %eax
    pushl %ecx
    movzwl %sp, %ecx
    addl %ecx, %eax
    addl $6, %eax /* pushed since then */
    popl %ecx
    ret

fail:
    movw %cs, %ax
    movw %ax, %ds
    movw $failure, %si
1:
    lodsb
    testb %al, %al
    jz 2f
    movb $0x0e, %ah
    xorw %bx, %bx
    int $0x10
    jmp 1b
2:
    int $0x18 /* firmware continues with the next device */
    jmp 2b

    .balign 4
    .byte 0 /* space for the checksum */
end:
    .section .note.GNU-stack, "", @progbits
