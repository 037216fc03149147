#include "pci.h"

#include "acpi.h"
#include "cpu.h"
#include "interrupts.h"
#include "memory.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc };
#define CONFIG_ENABLE 0x80000000u
enum {
    VENDOR_ID = 0x00,
    CLASS_CODE = 0x08,
    HEADER_TYPE = 0x0e,
    SECONDARY_BUS = 0x19,
    CAPABILITIES = 0x34,
    STATUS = 0x06
};
enum { STATUS_CAPABILITIES = 1 << 4, HEADER_MULTIFUNCTION = 0x80, HEADER_BRIDGE = 1 };
enum { BAR_IO = 1 << 0, BAR_TYPE = 3 << 1, BAR_64BIT = 2 << 1 };
enum { MAX_CAPABILITIES = 48 };

struct pci_function pci_functions[PCI_MAX_FUNCTIONS];
unsigned pci_function_count;

static void select(const struct pci_function *f, unsigned offset)
{
    out32(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)f->bus << 16 | (uint32_t)f->slot << 11 |
                              (uint32_t)f->function << 8 | (offset & 0xfc));
}

uint8_t pci_read8(const struct pci_function *f, unsigned offset)
{
    select(f, offset);
    return in8((uint16_t)(CONFIG_DATA + (offset & 3)));
}

uint16_t pci_read16(const struct pci_function *f, unsigned offset)
{
    select(f, offset);
    return in16((uint16_t)(CONFIG_DATA + (offset & 2)));
}

uint32_t pci_read32(const struct pci_function *f, unsigned offset)
{
    select(f, offset);
    return in32(CONFIG_DATA);
}

void pci_write16(const struct pci_function *f, unsigned offset, uint16_t value)
{
    select(f, offset);
    out16((uint16_t)(CONFIG_DATA + (offset & 2)), value);
}

void pci_write32(const struct pci_function *f, unsigned offset, uint32_t value)
{
    select(f, offset);
    out32(CONFIG_DATA, value);
}

static void scan_bus(uint8_t bus)
{
    for (uint8_t slot = 0; slot < 32; slot++) {
        uint8_t functions = 1;
        for (uint8_t function = 0; function < functions; function++) {
            struct pci_function f = {.bus = bus, .slot = slot, .function = function};
            uint32_t id = pci_read32(&f, VENDOR_ID);
            if ((uint16_t)id == 0xffff)
                continue;
            if (pci_function_count == PCI_MAX_FUNCTIONS)
                return;
            f.vendor = (uint16_t)id;
            f.device = (uint16_t)(id >> 16);
            f.class_code = pci_read32(&f, CLASS_CODE) >> 8;
            pci_functions[pci_function_count++] = f;
            uint8_t header = pci_read8(&f, HEADER_TYPE);
            if (function == 0 && header & HEADER_MULTIFUNCTION)
                functions = 8;
            uint8_t behind = (header & 0x7f) == HEADER_BRIDGE ? pci_read8(&f, SECONDARY_BUS) : 0;
            if (behind > bus) /* buses are numbered by firmware or the VMM, parents first */
                scan_bus(behind);
        }
    }
}

static uint64_t scan_in_ring0(uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    pci_function_count = 0;
    scan_bus(0);
    return 0;
}

void pci_scan(void) { ring0_call(scan_in_ring0, 0, 0, 0); }

const char *pci_check_ecam(void)
{
    uint64_t base = acpi_ecam();
    if (!base)
        return "none";
    for (unsigned i = 0; i < pci_function_count; i++) {
        const struct pci_function *f = &pci_functions[i];
        uint64_t space = base + ((uint64_t)f->bus << 20 | (uint64_t)f->slot << 15 | (uint64_t)f->function << 12);
        memory_map_device(space, 4096);
        if (read32(space + VENDOR_ID) != (f->vendor | (uint32_t)f->device << 16))
            return "differs";
    }
    return "agrees";
}

unsigned pci_find_capability(const struct pci_function *f, uint8_t id, unsigned after)
{
    if (!(pci_read16(f, STATUS) & STATUS_CAPABILITIES))
        return 0;
    unsigned at = pci_read8(f, after ? after + 1 : CAPABILITIES) & 0xfc;
    for (unsigned i = 0; at && i < MAX_CAPABILITIES; i++) {
        uint16_t header = pci_read16(f, at);
        if ((uint8_t)header == id)
            return at;
        at = header >> 8 & 0xfc;
    }
    return 0;
}

bool pci_bar_is_64bit(const struct pci_function *f, unsigned index)
{
    uint32_t low = pci_read32(f, PCI_BAR0 + index * 4);
    return index + 1 < PCI_BARS && !(low & BAR_IO) && (low & BAR_TYPE) == BAR_64BIT;
}

uint64_t pci_bar_address(const struct pci_function *f, unsigned index)
{
    if (index >= PCI_BARS)
        return 0;
    uint32_t low = pci_read32(f, PCI_BAR0 + index * 4);
    if (low & BAR_IO)
        return 0;
    uint64_t high = pci_bar_is_64bit(f, index) ? pci_read32(f, PCI_BAR0 + index * 4 + 4) : 0;
    return high << 32 | (low & ~15u);
}

uint32_t pci_bar_size(const struct pci_function *f, unsigned index)
{
    unsigned bar = PCI_BAR0 + index * 4;
    uint16_t command = pci_read16(f, PCI_COMMAND);
    uint32_t value = pci_read32(f, bar);
    pci_write16(f, PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    pci_write32(f, bar, UINT32_MAX);
    uint32_t mask = pci_read32(f, bar) & ~15u;
    pci_write32(f, bar, value);
    pci_write16(f, PCI_COMMAND, command);
    return value & BAR_IO ? 0 : 0 - mask;
}
