/*
 * What a boot loader takes for a bzImage: setup code that prints its command line and the CRC-32 of its initrd on COM1, and has the BIOS go
 * on with the next device of its boot order.
 */
    .code16
    .text
    .org 0x1f1
    .byte 2 /* setup_sects */
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
    .long 0x100000 /* code32_start */
    .org 0x22c
    .long 0x37ffffff /* initrd_addr_max */
    .long 0
    .byte 0, 0
    .word 0
    .long 255 /* cmdline_size */

    .org 0x260
start:
    cli
    cld
    call flat
    movl 0x228, %esi /* cmd_line_ptr */
1:
    movb %fs:(%esi), %al
    incl %esi
    testb %al, %al
    jz 2f
    call put
    jmp 1b
2:
    movw $crc_is, %si
3:
    lodsb
    testb %al, %al
    jz 4f
    call put
    jmp 3b
4:
    movl 0x218, %esi /* ramdisk_image */
    movl 0x21c, %ecx /* ramdisk_size */
    movl $-1, %eax
next_byte:
    xorb %fs:(%esi), %al
    incl %esi
    movb $8, %dl
next_bit:
    shrl $1, %eax
    jnc 1f
    xorl $0xedb88320, %eax
1:
    decb %dl
    jnz next_bit
    decl %ecx
    jnz next_byte
    notl %eax

    movl %eax, %ebx
    movw $8, %cx
digit:
    roll $4, %ebx
    movb %bl, %al
    andb $0xf, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 1f
    addb $'a' - '0' - 10, %al
1:
    call put
    decw %cx
    jnz digit
    movb $'\r', %al
    call put
    movb $'\n', %al
    call put
    sti
    int $0x18

/* Sends %al. */
put:
    movb %al, %ah
    movw $0x3fd, %dx
1:
    inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    ret

/* Gives %fs a limit of 4 GiB. */
flat:
    xorl %ebx, %ebx
    movw %ds, %bx
    shll $4, %ebx
    addl $table, %ebx
    movl %ebx, pointer + 2
    lgdtl pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    movw $8, %cx
    movw %cx, %fs
    andb $0xfe, %al
    movl %eax, %cr0
    xorw %cx, %cx
    movw %cx, %fs
    ret

    .balign 8
table:
    .quad 0
    .quad 0x008f93000000ffff
pointer:
    .word 15
    .long 0
crc_is:
    .asciz " crc "

    .org 0x600
    .ascii "code of protected mode"
