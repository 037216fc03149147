/* rubbish regs, rubbish ports: random accesses, identical for the same seed. */

#include <stdbool.h>
#include <stddef.h>

#include "blk.h"
#include "console.h"
#include "cpu.h"
#include "interrupts.h"
#include "memory.h"
#include "pci.h"
#include "print.h"
#include "random.h"
#include "rng.h"
#include "rubbish.h"
#include "serial.h"

enum { MAX_REGIONS = 64, CONFIG_SPACE = 256 };

struct region {
    uint64_t address, size;
};

static struct region regions[MAX_REGIONS];
static unsigned region_count;

/* Records where the memory BARs are before garbage moves them. */
static void find_regions(void)
{
    region_count = 0;
    for (unsigned i = 0; i < pci_function_count; i++)
        for (unsigned bar = 0; bar < PCI_BARS && region_count < MAX_REGIONS; bar++) {
            const struct pci_function *f = &pci_functions[i];
            struct region r = {.address = pci_bar_address(f, bar)};
            r.size = r.address ? pci_bar_size(f, bar) : 0;
            if (r.size) {
                memory_map_device(r.address, r.size);
                regions[region_count++] = r;
            }
            bar += pci_bar_is_64bit(f, bar);
        }
}

static bool chance(uint64_t *state, unsigned percent) { return random_below(state, 100) < percent; }

/* Half of the values are random; the others are typical out-of-range indices. */
static uint32_t random_value(uint64_t *state)
{
    static const uint32_t special[] = {0,      1,      2,       0x7f,       0x80,       0xff,       0x100,     0x7fff,
                                       0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff};
    if (chance(state, 50))
        return (uint32_t)random_next(state);
    return special[random_below(state, sizeof special / sizeof *special)];
}

static void access_register(uint64_t *state)
{
    const struct region *r = &regions[random_below(state, region_count)];
    unsigned size = 1u << random_below(state, 3);
    uint64_t limit = chance(state, 75) && r->size > 4096 ? 4096 : r->size; /* most registers are at the start */
    uint64_t address = r->address + random_below(state, limit);
    if (chance(state, 90))
        address &= -(uint64_t)size;
    uint32_t value = random_value(state);
    bool write = chance(state, 70);
    if (size == 1)
        write ? write8(address, (uint8_t)value) : (void)read8(address);
    else if (size == 2)
        write ? write16(address, (uint16_t)value) : (void)read16(address);
    else
        write ? write32(address, value) : (void)read32(address);
}

static void access_config(uint64_t *state)
{
    const struct pci_function *f = &pci_functions[random_below(state, pci_function_count)];
    unsigned offset = (unsigned)random_below(state, CONFIG_SPACE);
    uint32_t value = random_value(state);
    if (chance(state, 30))
        pci_read32(f, offset);
    else if (chance(state, 50))
        pci_write32(f, offset, value);
    else
        pci_write16(f, offset, (uint16_t)value);
}

/* The drivers' state is invalid after this. */
static void forget_devices(void)
{
    for (unsigned i = 0; i < BLK_MAX_DISKS; i++)
        blk_forget(i);
    rng_forget();
}

const char *rubbish_registers(uint64_t seed, uint64_t count)
{
    uint64_t state = seed, done = 0;
    find_regions();
    if (!pci_function_count)
        return "no PCI functions";
    forget_devices();
    for (; done < count && !console_interrupted(); done++)
        if (region_count && chance(&state, 80))
            access_register(&state);
        else
            access_config(&state);
    print("result rubbish-regs seed=%lu accesses=%lu regions=%u functions=%u\n", seed, done, region_count,
          pci_function_count);
    return NULL;
}

/* Ports that may stop the machine, and with it the test: keyboard controller and port 92 (reset), debug exit, ACPI
 * registers, reset control. Also the serial port and the debug console, so that the result can be read. */
static bool spared(uint16_t port)
{
    return port == 0x64 || port == 0x92 || (port >= 0xf4 && port < 0xf8) || (port >= 0x3f8 && port < 0x400) ||
           port == 0x402 || (port >= 0x600 && port < 0x680) || (port >= 0xcf6 && port <= 0xcf9);
}

const char *rubbish_ports(uint64_t seed, uint64_t count)
{
    uint64_t state = seed, done = 0;
    forget_devices();
    for (; done < count && !console_interrupted(); done++) {
        unsigned size = 1u << random_below(&state, 3);
        uint16_t port = (uint16_t)random_below(&state, chance(&state, 80) ? 0x1000 : 0x10000);
        uint32_t value = random_value(&state);
        bool write = chance(&state, 70);
        bool avoid = false;
        for (unsigned i = 0; i < size; i++)
            avoid |= spared((uint16_t)(port + i));
        if (avoid)
            continue;
        if (size == 1)
            write ? out8(port, (uint8_t)value) : (void)in8(port);
        else if (size == 2)
            write ? out16(port, (uint16_t)value) : (void)in16(port);
        else
            write ? out32(port, value) : (void)in32(port);
    }
    interrupts_restart();
    print("result rubbish-ports seed=%lu accesses=%lu\n", seed, done);
    return NULL;
}
