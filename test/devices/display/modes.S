# A boot sector and what follows it, at 0x7c00: sets one mode after the other, draws, prints a letter on the debug port, and waits for a byte on COM1.
	.code16
	.globl _start
_start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	sti
	movw $0x0220, %ax		# 32 sectors behind the first
	movb $32, %al
	movw $packet, %si
	movb $0x42, %ah
	int $0x13
	jc .
	jmp main

	.balign 4
packet:	.byte 16, 0
	.word 32, 0x7e00, 0
	.long 1, 0

	.org 510
	.word 0xaa55

# Prints the letter in %al, and waits until something is typed.
pause:
	movw $0x402, %dx
	outb %al, %dx
1:	movw $0x3fd, %dx
	inb %dx, %al
	testb $1, %al
	jz 1b
	movw $0x3f8, %dx
	inb %dx, %al
	ret

main:
	# Text, by the BIOS.
	movw $0x0003, %ax
	int $0x10
	movw $text, %si
1:	lodsb
	testb %al, %al
	jz 2f
	movw $0x0007, %bx
	movb $0x0e, %ah
	int $0x10
	jmp 1b
	# And by itself: 2000 characters from code 0 on, each in its own color.
2:	movb $'t', %al
	call pause
	movw $0xb800, %ax
	movw %ax, %es
	xorw %di, %di
	xorw %ax, %ax
	movw $2000, %cx
3:	stosw
	addw $0x0101, %ax
	loop 3b
	movb $'c', %al
	call pause

	# 640x480 in 16 colors: a bar of each, 40 pixels wide, in the topmost 100 lines, by write mode 2.
	movw $0x0012, %ax
	int $0x10
	movw $0xa000, %ax
	movw %ax, %es
	movw $0x3ce, %dx
	movw $0x0205, %ax
	outw %ax, %dx
	xorw %di, %di
	movw $100, %cx
4:	xorb %al, %al
5:	movb %al, %ah
	push %cx
	movw $5, %cx
6:	stosb
	loop 6b
	pop %cx
	incb %al
	cmpb $16, %al
	jb 5b
	loop 4b
	# Every other pixel of line 200 white, by set/reset and bit mask, after a read that fills the latches.
	movw $0x0005, %ax
	outw %ax, %dx
	movw $0x0f01, %ax
	outw %ax, %dx
	movw $0x0f00, %ax
	outw %ax, %dx
	movw $0xaa08, %ax
	outw %ax, %dx
	movw $200*80, %di
	movw $80, %cx
7:	movb %es:(%di), %al
	stosb
	loop 7b
	movb $'p', %al
	call pause

	# 320x200 in 256 colors: the color is x + y.
	movw $0x0013, %ax
	int $0x10
	xorw %di, %di
	xorw %bx, %bx
8:	movb %bl, %al
	movw $320, %cx
9:	stosb
	incb %al
	loop 9b
	incw %bx
	cmpw $200, %bx
	jb 8b
	movb $'i', %al
	call pause

	# 1024x768 in true color, by banks of 64 KiB: bank n is n * 0x050302.
	movw $0x4f02, %ax
	movw $0x4144, %bx
	int $0x10
	cmpw $0x004f, %ax
	jne .
	xorl %ebx, %ebx
10:	movw $0x1ce, %dx
	movw $5, %ax
	outw %ax, %dx
	incw %dx
	movw %bx, %ax
	outw %ax, %dx
	imull $0x050302, %ebx, %eax
	xorw %di, %di
	movw $16384, %cx
	rep stosl
	incw %bx
	cmpw $48, %bx
	jb 10b
	movb $'v', %al
	call pause

	movw $0x0003, %ax
	int $0x10
	movb $'e', %al
	call pause
	movw $0x604, %dx
	movw $0x3400, %ax
	outw %ax, %dx
	hlt

text:	.asciz "Text by INT 10h\r\n"
	.org 512*33
