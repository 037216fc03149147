/* PCI: configuration mechanism #1 (PCI Local Bus 3.0 §3.2.2.3.2), and the functions found with it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PCI_COMMAND = 0x04, PCI_BAR0 = 0x10, PCI_BARS = 6 };
enum {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_NO_INTX = 1 << 10
};
enum { PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11 };
enum { PCI_MAX_FUNCTIONS = 64 };

struct pci_function {
    uint8_t bus, slot, function;
    uint16_t vendor, device;
    uint32_t class_code; /* class, subclass, interface */
};

extern struct pci_function pci_functions[PCI_MAX_FUNCTIONS];
extern unsigned pci_function_count;

/* Finds the functions of bus 0 and of the buses behind its bridges. */
void pci_scan(void);

/* Compares configuration space read through ECAM (PCI Express Base 5.0 §7.2.2): "none", "agrees" or "differs". */
const char *pci_check_ecam(void);

uint8_t pci_read8(const struct pci_function *f, unsigned offset);
uint16_t pci_read16(const struct pci_function *f, unsigned offset);
uint32_t pci_read32(const struct pci_function *f, unsigned offset);
void pci_write16(const struct pci_function *f, unsigned offset, uint16_t value);
void pci_write32(const struct pci_function *f, unsigned offset, uint32_t value);

/* Offset of the first capability with `id` after the one at `after` (0 to start at the first); 0 if there is none. */
unsigned pci_find_capability(const struct pci_function *f, uint8_t id, unsigned after);

/* The address in memory BAR `index`; 0 if it is an I/O BAR, or has no address assigned. */
uint64_t pci_bar_address(const struct pci_function *f, unsigned index);

/* Whether BAR `index` is 64 bits wide, so that the next one is its upper half. */
bool pci_bar_is_64bit(const struct pci_function *f, unsigned index);

/* The size of memory BAR `index`, up to 2 GiB; 0 if there is none. Briefly disables the function's decoding. */
uint32_t pci_bar_size(const struct pci_function *f, unsigned index);
