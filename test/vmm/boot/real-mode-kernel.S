/*
 * What a boot loader takes for a bzImage: setup code that prints its command line, the start of its code at 1 MiB and that of its initrd
 * on the debug port, each up to a NUL, and turns the machine off.
 */
    .code16
    .text
    .org 0x1f1
    .byte 1 /* setup_sects */
    .word 0
    .long 1 /* syssize */
    .word 0, 0, 0
    .word 0xaa55
    jmp start
    .ascii "HdrS"
    .word 0x206
    .long 0
    .word 0, 0
    .byte 0
    .byte 1 /* loadflags: LOADED_HIGH */
    .word 0
    .long 0 /* code32_start: it has no other entry point */
    .org 0x22c
    .long 0x37ffffff /* initrd_addr_max */
    .long 0
    .byte 0, 0
    .word 0
    .long 255 /* cmdline_size */

    .org 0x260
start:
    movl 0x228, %eax /* cmd_line_ptr */
    call print
    movl $0x100000, %eax
    call print
    movl 0x218, %eax /* ramdisk_image */
    testl %eax, %eax
    jz off
    call print
off:
    movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
    hlt
    jmp off

/* Has the BIOS copy what is at %eax, and prints it. */
print:
    movw %ax, source + 2
    shrl $16, %eax
    movb %al, source + 4
    movb %ah, source + 7
    movw $table, %si
    movw $64, %cx
    movb $0x87, %ah
    int $0x15
    movw $0x3000, %ax
    movw %ax, %fs
    xorw %si, %si
    movw $0x402, %dx
1:
    movb %fs:(%si), %al
    incw %si
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:
    movb $'\n', %al
    outb %al, %dx
    ret

    .balign 8
table: /* the global descriptor table of INT 15h, AH = 87h */
    .quad 0, 0
source:
    .quad 0x000093000000ffff
    .quad 0x000093030000ffff /* 0x30000 */
    .quad 0, 0

    .org 0x400
    .asciz "CODE AT 1 MIB"
