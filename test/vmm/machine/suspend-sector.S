/*
 * A boot sector that suspends to RAM: it looks for the FACS as a guest does, by RSDP, RSDT and FADT, sets the waking vector and enters S3. Woken up,
 * it says so, and turns the machine off.
 */
    .code16
    .text
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    /* Segments of 4 GiB, as the tables are at the end of RAM. */
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    movw $8, %bx
    movw %bx, %ds
    movw %bx, %es
    decb %al
    movl %eax, %cr0
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es

    movl $0xe0000, %esi
rsdp:
    cmpl $0x20445352, (%esi) /* "RSD " */
    je found
    addl $16, %esi
    jmp rsdp
found:
    movl 16(%esi), %esi /* RSDT */
    addl $36, %esi
fadt:
    movl (%esi), %edi
    addl $4, %esi
    cmpl $0x50434146, (%edi) /* "FACP" */
    jne fadt
    movl 36(%edi), %eax /* FACS */
    movl $awake, 12(%eax)
    movw 64(%edi), %bp /* PM1a control */
    movw $sleeps, %si
    call print
    movw %bp, %dx
    movw $0x2400, %ax
    outw %ax, %dx
1:  jmp 1b

awake:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    movw $woken, %si
    call print
    movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
2:  hlt
    jmp 2b

print:
    movw $0x402, %dx
3:  lodsb
    outb %al, %dx
    testb %al, %al
    jnz 3b
    ret

sleeps: .asciz "SLEEPS\n"
woken: .asciz "AWAKE\n"
    .balign 8
gdt: .quad 0, 0x00cf92000000ffff
gdt_pointer:
    .word 15
    .long gdt
    .org 510
    .word 0xaa55
    .org 0x100000
