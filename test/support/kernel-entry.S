/* Entry point for a boot loader, after a kernel that isn't compressed: in 32-bit mode with flat segments, interrupts
 * off, and the boot parameters at ESI. It enters the kernel in 64-bit mode as Documentation/arch/x86/boot.rst requires
 * (the 64-bit boot protocol): with an identity-mapped page table for 4 GiB, and RSI set to ESI. Linked for its address;
 * `kernel` is the kernel's start. */
#define PRESENT_WRITABLE 0x3
#define LARGE 0x80
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)
/* __BOOT_CS and __BOOT_DS */
#define CODE 0x10
#define DATA 0x18

	.code32
	.globl _start
_start:
	lgdt	gdt_pointer
	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$level4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	ljmp	$CODE, $long_mode

	.code64
long_mode:
	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%esi, %esi
	mov	$kernel, %eax
	jmp	*%rax

	.balign	8
gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.balign	4096
level4:
	.quad	level3 + PRESENT_WRITABLE
	.fill	511, 8, 0
level3:
	.set	table, 0
	.rept	4
	.quad	level2 + table + PRESENT_WRITABLE
	.set	table, table + 4096
	.endr
	.fill	508, 8, 0
level2:
	.set	address, 0
	.rept	4 * 512
	.quad	address + PRESENT_WRITABLE + LARGE
	.set	address, address + 0x200000
	.endr
