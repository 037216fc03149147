/* Information from the loader. Shared between C and assembly. */
#pragma once

#define BOOT_PVH 1
#define BOOT_MULTIBOOT 2

/* The first instructions of the guest: two port writes, to the POST code port and to the debug console, which show a
 * VMM or a benchmark that guest code is running. Clobbers eax and edx. */
/* clang-format off */
#define FIRST_INSTRUCTION_BYTE 0x0d /* carriage return: invisible on a console */
#define FIRST_INSTRUCTION_MARK \
    mov $FIRST_INSTRUCTION_BYTE, %al; \
    out %al, $0x80; \
    mov $0x402, %dx; \
    out %al, %dx
/* clang-format on */

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

struct boot_info {
    const char *loader;       /* "PVH" or "multiboot" */
    const char *command_line; /* our copy */
    uint64_t memory_bytes;    /* all RAM */
    uint64_t low_ram_end;     /* end of the RAM that starts at 1 MiB */
    uint64_t rsdp;            /* physical address of ACPI's root pointer, 0 if the loader passed none */
};

extern struct boot_info boot;

/* Copies the required data from the loader's structures, whose memory the guest may use later. */
void boot_parse(uint32_t protocol, uint64_t info);

/* True if the command line contains `word` as a separate word. */
bool boot_has_word(const char *word);

/* The value of `name="value"` or name=value in `buffer`; false if the command line has none. */
bool boot_option(const char *name, char *buffer, uint64_t size);
#endif
