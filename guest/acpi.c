#include "acpi.h"

#include <stddef.h>

#include "boot.h"
#include "cpu.h"
#include "interrupts.h"
#include "text.h"

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
} __attribute__((packed));

struct table {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
    uint8_t body[];
} __attribute__((packed));

enum { RSDP_SEARCH_START = 0xe0000, RSDP_SEARCH_END = 0x100000 }; /* §5.2.5.1 */

/* Offsets in the FADT, §5.2.9. */
enum {
    FADT_FACS = 36,
    FADT_DSDT = 40,
    FADT_PM1A_EVENT = 56,
    FADT_PM1A_CONTROL = 64,
    FADT_GPE0 = 80,
    FADT_PM1_EVENT_LENGTH = 88,
    FADT_GPE0_LENGTH = 92,
    FADT_FLAGS = 112,
    FADT_X_DSDT = 140,
    FADT_SLEEP_CONTROL = 244
};
enum { FADT_HW_REDUCED = 1 << 20, PM1_SLP_TYP_SHIFT = 10, PM1_SLP_EN = 1 << 13 };
enum { SLEEP_TYP_SHIFT = 2, SLEEP_EN = 1 << 5, GAS_SPACE_IO = 1 };

enum { FACS_WAKING_VECTOR = 12, FACS_X_WAKING_VECTOR = 24 }; /* §5.2.10 */
enum { PM1_RTC = 1 << 10 };
enum { PM1_POWER_BUTTON = 1 << 8 }; /* in the status and in the enable register: §4.8.3.1 */

/* Offsets in the MADT, §5.2.12. */
enum { MADT_STRUCTURES = 44, MADT_LOCAL_APIC = 0, MADT_LOCAL_X2APIC = 9, MADT_CPU_ENABLED = 1 };

/* PCI Firmware Specification 3.0 §4.1.2: 44 bytes, followed by structures of 16. */
enum { MCFG_BASE = 44, MCFG_SEGMENT = 52, MCFG_SIZE = 60 };

/* AML, §20.2. */
enum { AML_ZERO = 0x00, AML_ONE = 0x01, AML_BYTE = 0x0a, AML_PACKAGE = 0x12 };
enum { STATE_MIN_SIZE = 9 }; /* the name up to the first element, as a byte */

static uint32_t load32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t load64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static const struct rsdp *find_rsdp(void)
{
    if (boot.rsdp)
        return (const struct rsdp *)boot.rsdp;
    for (uint64_t at = RSDP_SEARCH_START; at < RSDP_SEARCH_END; at += 16)
        if (memcmp((const void *)at, "RSD PTR ", 8) == 0)
            return (const struct rsdp *)at;
    return NULL;
}

/* The table with that signature; NULL if there is none, or its checksum is wrong. */
static const struct table *find_table(const char *signature)
{
    const struct rsdp *rsdp = find_rsdp();
    if (!rsdp)
        return NULL;
    bool extended = rsdp->revision >= 2 && rsdp->xsdt;
    const struct table *root = (const struct table *)(extended ? rsdp->xsdt : rsdp->rsdt);
    unsigned size = extended ? 8 : 4;
    for (uint32_t at = 0; at + size <= root->length - sizeof *root; at += size) {
        uint64_t address = extended ? load64(root->body + at) : load32(root->body + at);
        const struct table *table = (const struct table *)address;
        if (memcmp(table->signature, signature, 4) != 0)
            continue;
        uint8_t sum = 0;
        for (uint32_t i = 0; i < table->length; i++)
            sum += ((const uint8_t *)table)[i];
        return sum == 0 ? table : NULL;
    }
    return NULL;
}

unsigned acpi_cpus(uint32_t *apic_ids, unsigned max)
{
    const uint8_t *madt = (const uint8_t *)find_table("APIC");
    unsigned count = 0;
    if (!madt)
        return 0;
    uint32_t length = ((const struct table *)madt)->length;
    for (uint32_t at = MADT_STRUCTURES; at + 2 <= length && madt[at + 1] >= 2; at += madt[at + 1]) {
        uint32_t id;
        if (madt[at] == MADT_LOCAL_APIC && load32(madt + at + 4) & MADT_CPU_ENABLED)
            id = madt[at + 3];
        else if (madt[at] == MADT_LOCAL_X2APIC && load32(madt + at + 8) & MADT_CPU_ENABLED)
            id = load32(madt + at + 4);
        else
            continue;
        if (count < max)
            apic_ids[count] = id;
        count++;
    }
    return count;
}

uint64_t acpi_ecam(void)
{
    const uint8_t *mcfg = (const uint8_t *)find_table("MCFG");
    if (!mcfg || ((const struct table *)mcfg)->length < MCFG_SIZE || (load32(mcfg + MCFG_SEGMENT) & 0xffff) != 0)
        return 0;
    return load64(mcfg + MCFG_BASE);
}

/* SLP_TYP of a sleep state: the first element of its package, such as _S5_, in the DSDT (§7.4.2). It is found by name,
 * without an AML interpreter: "_S5_", PackageOp, PkgLength, number of elements, first element. -1 if missing. */
static int sleep_type(const uint8_t *fadt, const char *state)
{
    uint64_t address = load32(fadt + FADT_DSDT);
    if (!address)
        address = load64(fadt + FADT_X_DSDT);
    const struct table *dsdt = (const struct table *)address;
    for (uint32_t i = 0; i + STATE_MIN_SIZE <= dsdt->length; i++) {
        const uint8_t *p = (const uint8_t *)dsdt + i;
        if (memcmp(p, state, 4) != 0 || p[4] != AML_PACKAGE)
            continue;
        p += 5;
        p += 1 + (*p >> 6); /* PkgLength: its first byte has the number of further ones */
        p += 1;
        if (*p == AML_BYTE)
            return p[1] & 7;
        if (*p == AML_ZERO || *p == AML_ONE)
            return *p;
    }
    return -1;
}

/* Port of the PM1a status register; the enable register is in the second half of the block. 0 if there is none. */
static uint16_t pm1_status(uint16_t *enable)
{
    const uint8_t *fadt = (const uint8_t *)find_table("FACP");
    if (!fadt || load32(fadt + FADT_FLAGS) & FADT_HW_REDUCED)
        return 0;
    uint16_t status = (uint16_t)load32(fadt + FADT_PM1A_EVENT);
    *enable = status + fadt[FADT_PM1_EVENT_LENGTH] / 2;
    return status;
}

void acpi_enable_power_button(void)
{
    uint16_t enable, status = pm1_status(&enable);
    if (!status)
        return;
    out16(status, PM1_POWER_BUTTON);
    out16(enable, PM1_POWER_BUTTON);
}

bool acpi_power_button_pressed(void)
{
    uint16_t enable, status = pm1_status(&enable);
    if (!status)
        return false;
    uint16_t events = in16(status);
    out16(status, events); /* writing ones clears them */
    interrupts_unmask_sci();
    return events & PM1_POWER_BUTTON;
}

void acpi_enable_event(unsigned event)
{
    const uint8_t *fadt = (const uint8_t *)find_table("FACP");
    uint16_t enable = fadt ? (uint16_t)(load32(fadt + FADT_GPE0) + fadt[FADT_GPE0_LENGTH] / 2) : 0;
    if (!enable)
        return;
    enable = (uint16_t)(enable + event / 8);
    out8(enable, in8(enable) | (uint8_t)(1 << event % 8));
}

static void store32(void *at, uint32_t value) { memcpy(at, &value, sizeof value); }

void acpi_suspend(uint32_t vector, bool alarm)
{
    const uint8_t *fadt = (const uint8_t *)find_table("FACP");
    uint16_t enable, status = pm1_status(&enable);
    int type = fadt ? sleep_type(fadt, "_S3_") : -1;
    if (type < 0 || !status)
        return;
    uint8_t *facs = (uint8_t *)(uint64_t)load32(fadt + FADT_FACS);
    store32(facs + FACS_WAKING_VECTOR, vector);
    store32(facs + FACS_X_WAKING_VECTOR, 0);
    store32(facs + FACS_X_WAKING_VECTOR + 4, 0);
    out16(status, in16(status));
    out16(enable, alarm ? PM1_RTC : 0);
    out16((uint16_t)load32(fadt + FADT_PM1A_CONTROL), (uint16_t)(type << PM1_SLP_TYP_SHIFT | PM1_SLP_EN));
}

unsigned acpi_wake_status(void)
{
    uint16_t enable, status = pm1_status(&enable), events = status ? in16(status) : 0;
    if (status)
        out16(status, events);
    return events;
}

void acpi_power_off(void)
{
    const uint8_t *fadt = (const uint8_t *)find_table("FACP");
    if (!fadt)
        return;
    int type = sleep_type(fadt, "_S5_");
    if (type < 0)
        return;
    if (load32(fadt + FADT_FLAGS) & FADT_HW_REDUCED) { /* §4.8.3.7 */
        uint64_t address = load64(fadt + FADT_SLEEP_CONTROL + 4);
        uint8_t value = (uint8_t)(type << SLEEP_TYP_SHIFT | SLEEP_EN);
        if (fadt[FADT_SLEEP_CONTROL] == GAS_SPACE_IO)
            out8((uint16_t)address, value);
        else
            write8(address, value);
        return;
    }
    out16((uint16_t)load32(fadt + FADT_PM1A_CONTROL),
          (uint16_t)(type << PM1_SLP_TYP_SHIFT | PM1_SLP_EN)); /* §4.8.3.2.1 */
}
