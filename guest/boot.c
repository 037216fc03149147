#include "boot.h"

#include "text.h"

/* Xen public header arch-x86/hvm/start_info.h. */
struct hvm_start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t memory_map; /* from version 1 on */
    uint32_t memory_map_entries, reserved;
};
struct hvm_memory_map_entry {
    uint64_t address, size;
    uint32_t type, reserved;
};
enum { HVM_START_MAGIC = 0x336ec578 };

/* Multiboot Specification 0.6.96 §3.3; only the fields used here have names. */
struct multiboot_info {
    uint32_t flags, unused1[3];
    uint32_t command_line;
    uint32_t unused2[6];
    uint32_t memory_map_length, memory_map;
};
struct multiboot_memory_map_entry {
    uint32_t entry_size; /* not counting this field */
    uint64_t address, size;
    uint32_t type;
} __attribute__((packed));
enum { MULTIBOOT_COMMAND_LINE = 1 << 2, MULTIBOOT_MEMORY_MAP = 1 << 6 };

enum { TYPE_RAM = 1, KERNEL_ADDRESS = 0x100000 };

struct boot_info boot;
static char command_line[1024];

static void add_memory(uint64_t address, uint64_t size, uint32_t type)
{
    if (type != TYPE_RAM)
        return;
    boot.memory_bytes += size;
    if (address <= KERNEL_ADDRESS && address + size > KERNEL_ADDRESS)
        boot.low_ram_end = address + size;
}

static void copy_command_line(uint64_t address)
{
    const char *from = (const char *)address;
    size_t length = text_length(from);
    if (length > sizeof command_line - 1)
        length = sizeof command_line - 1;
    memcpy(command_line, from, length);
}

static void parse_pvh(const struct hvm_start_info *info)
{
    boot.loader = "PVH";
    if (info->magic != HVM_START_MAGIC)
        return;
    boot.rsdp = info->rsdp;
    if (info->command_line)
        copy_command_line(info->command_line);
    if (info->version < 1)
        return;
    const struct hvm_memory_map_entry *map = (const struct hvm_memory_map_entry *)info->memory_map;
    for (uint32_t i = 0; i < info->memory_map_entries; i++)
        add_memory(map[i].address, map[i].size, map[i].type);
}

static void parse_multiboot(const struct multiboot_info *info)
{
    boot.loader = "multiboot";
    if (info->flags & MULTIBOOT_COMMAND_LINE)
        copy_command_line(info->command_line);
    if (!(info->flags & MULTIBOOT_MEMORY_MAP))
        return;
    uint64_t at = info->memory_map, end = at + info->memory_map_length;
    while (at < end) {
        const struct multiboot_memory_map_entry *entry = (const struct multiboot_memory_map_entry *)at;
        add_memory(entry->address, entry->size, entry->type);
        at += entry->entry_size + sizeof entry->entry_size;
    }
}

void boot_parse(uint32_t protocol, uint64_t info)
{
    boot.command_line = command_line;
    if (protocol == BOOT_PVH)
        parse_pvh((const struct hvm_start_info *)info);
    else
        parse_multiboot((const struct multiboot_info *)info);
}

/* The position after `name` at the start of a word of the command line, or NULL. Skips quoted text. */
static const char *find_word(const char *name)
{
    bool quoted = false, starts = true;
    for (const char *p = command_line; *p; p++) {
        if (starts && !quoted && text_starts(p, name))
            return p + text_length(name);
        if (*p == '"')
            quoted = !quoted;
        starts = *p == ' ';
    }
    return NULL;
}

bool boot_has_word(const char *word)
{
    const char *after = find_word(word);
    return after && (*after == 0 || *after == ' ');
}

bool boot_option(const char *name, char *buffer, uint64_t size)
{
    const char *value = find_word(name);
    if (!value || *value++ != '=')
        return false;
    char end = ' ';
    if (*value == '"')
        end = *value++;
    uint64_t length = 0;
    while (*value && *value != end && length < size - 1)
        buffer[length++] = *value++;
    buffer[length] = 0;
    return true;
}
