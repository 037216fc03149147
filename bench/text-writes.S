# A boot sector that writes to text memory: 65,536 words while each write is an exit, and then while the memory is
# mapped. It prints a letter on the debug port before, between and after.
	.code16
	.globl _start
_start:
	cli
	xorw %ax, %ax
	movw %ax, %ss
	movw $0x7c00, %sp
	movw $3, %ax
	int $0x10
	movw $0xb800, %ax
	movw %ax, %es
	cld
	# A bit mask that is not all ones.
	movw $0x3ce, %dx
	movw $0xfe08, %ax
	outw %ax, %dx
	movb $'a', %al
	call write
	movw $0x3ce, %dx
	movw $0xff08, %ax
	outw %ax, %dx
	movb $'b', %al
	call write
	movb $'c', %al
	movw $0x402, %dx
	outb %al, %dx
	movw $0x604, %dx
	movw $0x3400, %ax
	outw %ax, %dx
	hlt

write:	movw $0x402, %dx
	outb %al, %dx
	movw $32, %bx
1:	xorw %di, %di
	movw $2048, %cx
2:	movw %di, %es:(%di)
	addw $2, %di
	loop 2b
	decw %bx
	jnz 1b
	ret
	.org 510
	.word 0xaa55
