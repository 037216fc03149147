/*
 * The minimum that runs the embedded guest: a KVM_RUN loop that answers each exit immediately. An exit here costs what
 * the processor and the kernel take; anything beyond that is a VMM's own overhead.
 *
 * usage: bare-kvm guest.elf 'command line'; the guest's serial port and its debug console are standard output, its
 * debug exit port ends the run.
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RAM_SIZE = 64 << 20 };
enum { START_INFO = 0x6000, MEMORY_MAP = 0x7000, COMMAND_LINE = 0x8000, GDT = 0x500 };
enum { COM1 = 0x3f8, COM1_LINE_STATUS = 0x3fd, DEBUG_CONSOLE = 0x402, DEBUG_EXIT = 0xf4 };
enum { LINE_STATUS_CAN_SEND = 0x60 };
enum { CODE = 0x08, DATA = 0x10 };
enum { MAX_CPUID = 256 };
enum { XEN_ELFNOTE_PHYS32_ENTRY = 18 };

/* Xen's x86/HVM direct boot ABI, version 1. */
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};
struct memory_map_entry {
	uint64_t address, size;
	uint32_t type, reserved;
};

static uint8_t *ram;

static int control(int fd, unsigned long request, const char *name, void *argument)
{
	int result = ioctl(fd, request, argument);
	if (result < 0)
		err(1, "%s", name);
	return result;
}
#define CONTROL(fd, request, argument) control(fd, request, #request, (void *)(uintptr_t)(argument))

/* Loads the segments. @return the PVH entry point. */
static uint32_t load_elf(const char *path)
{
	int fd = open(path, O_RDONLY);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint8_t *file = size <= 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		err(1, "%s", path);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(file + header->e_phoff);
	uint32_t entry = 0;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const uint8_t *data = file + segments[i].p_offset;
		if (segments[i].p_type == PT_LOAD)
			memcpy(ram + segments[i].p_paddr, data, segments[i].p_filesz);
		const Elf64_Nhdr *note = (const Elf64_Nhdr *)data;
		if (segments[i].p_type == PT_NOTE && note->n_type == XEN_ELFNOTE_PHYS32_ENTRY)
			memcpy(&entry, data + sizeof(*note) + ((note->n_namesz + 3) & ~3u), sizeof(entry));
	}
	if (!entry)
		errx(1, "%s has no PVH entry point", path);
	return entry;
}

static void write_start_info(const char *command_line)
{
	struct memory_map_entry map[] = {{0, 0x9fc00, 1, 0}, {0x100000, RAM_SIZE - 0x100000, 1, 0}};
	struct start_info info = {.magic = 0x336ec578, .version = 1, .command_line = COMMAND_LINE, .memory_map = MEMORY_MAP,
				  .memory_map_entries = 2};
	memcpy(ram + START_INFO, &info, sizeof(info));
	memcpy(ram + MEMORY_MAP, map, sizeof(map));
	strcpy((char *)ram + COMMAND_LINE, command_line);
}

/* 32-bit protected mode, flat segments, as PVH requires. */
static void set_registers(int vcpu, uint32_t entry)
{
	const uint64_t gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
	memcpy(ram + GDT, gdt, sizeof(gdt));
	struct kvm_sregs s;
	CONTROL(vcpu, KVM_GET_SREGS, &s);
	struct kvm_segment code = {.limit = ~0u, .selector = CODE, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
	struct kvm_segment data = {.limit = ~0u, .selector = DATA, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = GDT;
	s.gdt.limit = sizeof(gdt) - 1;
	s.cr0 = 0x11;
	CONTROL(vcpu, KVM_SET_SREGS, &s);
	struct kvm_regs r = {.rip = entry, .rbx = START_INFO, .rflags = 2};
	CONTROL(vcpu, KVM_SET_REGS, &r);
}

static void set_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	cpuid->nent = MAX_CPUID;
	CONTROL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	CONTROL(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void answer_port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t length = (size_t)run->io.size * run->io.count;
	if (run->io.direction == KVM_EXIT_IO_IN)
		memset(data, run->io.port == COM1_LINE_STATUS ? LINE_STATUS_CAN_SEND : 0xff, length);
	else if ((run->io.port == COM1 || run->io.port == DEBUG_CONSOLE) && write(STDOUT_FILENO, data, length) < 0)
		err(1, "standard output");
	else if (run->io.port == DEBUG_EXIT)
		exit(*data);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: %s guest.elf 'command line'", argv[0]);
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	int vm = CONTROL(kvm, KVM_CREATE_VM, 0);
	CONTROL(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	CONTROL(vm, KVM_CREATE_IRQCHIP, 0);
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY}; /* port 0x61, with which the guest calibrates its clock */
	CONTROL(vm, KVM_CREATE_PIT2, &pit);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "guest RAM");
	struct kvm_userspace_memory_region region = {.memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)ram};
	CONTROL(vm, KVM_SET_USER_MEMORY_REGION, &region);
	int vcpu = CONTROL(vm, KVM_CREATE_VCPU, 0);
	struct kvm_run *run = mmap(NULL, CONTROL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "kvm_run");
	set_cpuid(kvm, vcpu);
	write_start_info(argv[2]);
	set_registers(vcpu, load_elf(argv[1]));
	for (;;) {
		CONTROL(vcpu, KVM_RUN, 0);
		if (run->exit_reason == KVM_EXIT_IO)
			answer_port(run);
		else if (run->exit_reason == KVM_EXIT_MMIO)
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		else
			errx(1, "exit reason %u", run->exit_reason);
	}
}
