#include "nic.h"

#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "memory.h"
#include "pci.h"
#include "text.h"

enum { RING = 256, BUFFER = 2048 };

struct model {
    const char *name;
    uint16_t vendor, device;
    void (*start)(void);
    bool (*send)(const uint8_t *frame, uint32_t length);
    void (*flush)(void);
    bool (*all_sent)(void);
    uint32_t (*receive)(void);
};

static const struct model *model;
static const struct pci_function *function;
static uint64_t memory; /* address of memory-mapped registers */
static uint16_t ports;
static uint64_t accesses;

/* The e1000: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, §3.2, §3.3, §13. */
enum {
    CTRL = 0x0000,
    STATUS = 0x0008,
    IMC = 0x00d8,
    RCTL = 0x0100,
    TCTL = 0x0400,
    RDBAL = 0x2800,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818
};
#define CTRL_RST (1u << 26)
#define RCTL_EN_UPE_MPE_BAM_SECRC 0x0400801au
#define TCTL_EN_PSP 0x0au
#define TX_EOP_IFCS_RS (0x0bu << 24)
enum { DONE = 1 };

struct descriptor {
    uint64_t address;
    uint32_t command; /* the length, in receive descriptors */
    volatile uint32_t status;
};

static struct descriptor *sends, *receives;
static uint8_t *buffers;
static unsigned send_next, send_first, receive_next, told;

static void e1000_write(unsigned reg, uint32_t value)
{
    accesses++;
    write32(memory + reg, value);
}

/* Writes may be delayed (KVM's coalesced MMIO, in QEMU) until something is read. */
static void e1000_post(void)
{
    accesses++;
    (void)read32(memory + STATUS);
}

static void e1000_start(void)
{
    if (!sends) {
        sends = memory_alloc(RING * sizeof *sends, 4096);
        receives = memory_alloc(RING * sizeof *receives, 4096);
        buffers = memory_alloc(RING * BUFFER, 4096);
    }
    e1000_write(CTRL, CTRL_RST);
    e1000_write(IMC, 0xffffffff);
    for (unsigned i = 0; i < RING; i++) {
        sends[i] = (struct descriptor){.status = DONE};
        receives[i] = (struct descriptor){.address = (uint64_t)buffers + i * BUFFER};
    }
    send_next = send_first = receive_next = told = 0;
    e1000_write(RDBAL, (uint32_t)(uint64_t)receives);
    e1000_write(RDBAL + 4, 0);
    e1000_write(RDLEN, RING * sizeof *receives);
    e1000_write(RDH, 0);
    e1000_write(RDT, RING - 1);
    e1000_write(RCTL, RCTL_EN_UPE_MPE_BAM_SECRC);
    e1000_write(TDBAL, (uint32_t)(uint64_t)sends);
    e1000_write(TDBAL + 4, 0);
    e1000_write(TDLEN, RING * sizeof *sends);
    e1000_write(TDH, 0);
    e1000_write(TDT, 0);
    e1000_write(TCTL, TCTL_EN_PSP);
}

static bool e1000_all_sent(void)
{
    while (send_first != send_next && sends[send_first].status & DONE)
        send_first = (send_first + 1) % RING;
    return send_first == send_next;
}

static bool e1000_send(const uint8_t *frame, uint32_t length)
{
    unsigned next = (send_next + 1) % RING;
    if (next == send_first)
        e1000_all_sent();
    if (next == send_first)
        return false;
    sends[send_next].address = (uint64_t)frame;
    sends[send_next].command = length | TX_EOP_IFCS_RS;
    sends[send_next].status = 0;
    send_next = next;
    return true;
}

static void e1000_flush(void)
{
    compiler_barrier();
    e1000_write(TDT, send_next);
}

static uint32_t e1000_receive(void)
{
    struct descriptor *next = &receives[receive_next];
    if (!(next->status & DONE))
        return 0;
    uint32_t length = next->command & 0xffff;
    next->status = 0;
    unsigned given = receive_next;
    receive_next = (receive_next + 1) % RING;
    if (++told % 32 == 0) {
        compiler_barrier();
        e1000_write(RDT, given);
        e1000_post();
    }
    return length;
}

/* The RTL8139: Realtek, RTL8139C(L)+ data sheet, §5: four transmit descriptors, and one receive ring of bytes. */
enum { TSD = 0x10, TSAD = 0x20, RBSTART = 0x30, CR = 0x37, CAPR = 0x38, IMR = 0x3c, RCR = 0x44 };
enum { CR_BUFE = 1, CR_TE = 4, CR_RE = 8, CR_RST = 16 };
enum { TSD_OWN = 1 << 13, SLOTS = 4, BYTES = 65536, SLACK = 16 + 2048 };
/* All frames, a 64 KiB ring; frames at its end continue past it (WRAP has no effect with 64 KiB). */
#define RCR_ALL 0x0000f80fu | 3u << 11

static uint8_t *bytes;
static uint32_t offset;

static void rtl_write32(unsigned reg, uint32_t value)
{
    accesses++;
    out32((uint16_t)(ports + reg), value);
}

static void rtl_write8(unsigned reg, uint8_t value)
{
    accesses++;
    out8((uint16_t)(ports + reg), value);
}

static void rtl_start(void)
{
    if (!bytes)
        bytes = memory_alloc(BYTES + SLACK, 4096);
    rtl_write8(CR, CR_RST);
    while (in8((uint16_t)(ports + CR)) & CR_RST)
        cpu_pause();
    out16((uint16_t)(ports + IMR), 0);
    rtl_write32(RBSTART, (uint32_t)(uint64_t)bytes);
    rtl_write8(CR, CR_TE | CR_RE);
    rtl_write32(RCR, RCR_ALL);
    send_next = send_first = 0;
    offset = 0;
}

static bool rtl_all_sent(void)
{
    while (send_first != send_next) {
        accesses++;
        if (!(in32((uint16_t)(ports + TSD + 4 * (send_first % SLOTS))) & TSD_OWN))
            return false;
        send_first++;
    }
    return true;
}

static bool rtl_send(const uint8_t *frame, uint32_t length)
{
    if (send_next - send_first == SLOTS)
        rtl_all_sent();
    if (send_next - send_first == SLOTS)
        return false;
    rtl_write32(TSAD + 4 * (send_next % SLOTS), (uint32_t)(uint64_t)frame);
    rtl_write32(TSD + 4 * (send_next % SLOTS), length);
    send_next++;
    return true;
}

static void rtl_flush(void) {}

static uint32_t rtl_receive(void)
{
    accesses++;
    if (in8((uint16_t)(ports + CR)) & CR_BUFE)
        return 0;
    uint32_t length = bytes[(offset + 2) % BYTES] | (uint32_t)bytes[(offset + 3) % BYTES] << 8;
    offset = ((offset + length + 4 + 3) & ~3u) % BYTES;
    accesses++;
    out16((uint16_t)(ports + CAPR), (uint16_t)(offset - 16));
    return length - 4;
}

static const struct model models[] = {
    {"e1000", 0x8086, 0x100e, e1000_start, e1000_send, e1000_flush, e1000_all_sent, e1000_receive},
    /* The 82574L has the same registers. */
    {"e1000e", 0x8086, 0x10d3, e1000_start, e1000_send, e1000_flush, e1000_all_sent, e1000_receive},
    {"rtl8139", 0x10ec, 0x8139, rtl_start, rtl_send, rtl_flush, rtl_all_sent, rtl_receive},
};

static bool find(void)
{
    for (unsigned i = 0; i < pci_function_count; i++)
        for (unsigned m = 0; m < sizeof models / sizeof *models; m++)
            if (pci_functions[i].vendor == models[m].vendor && pci_functions[i].device == models[m].device) {
                function = &pci_functions[i];
                model = &models[m];
                return true;
            }
    return false;
}

const char *nic_open(void)
{
    if (!find())
        return "no network card of a kind that is known: e1000, e1000e, rtl8139";
    memory = 0;
    for (unsigned bar = 0; bar < 3; bar++) {
        uint32_t value = pci_read32(function, PCI_BAR0 + 4 * bar);
        if (value & 1)
            ports = (uint16_t)(value & ~3u);
        else if (memory == 0)
            memory = value & ~15u;
    }
    pci_write16(function, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    tsc_khz(); /* calibrates on the first call */
    model->start();
    accesses = 0;
    return NULL;
}

const char *nic_model(void) { return model->name; }
bool nic_send(const uint8_t *frame, uint32_t length) { return model->send(frame, length); }
void nic_flush(void) { model->flush(); }
bool nic_all_sent(void) { return model->all_sent(); }
uint32_t nic_receive(void) { return model->receive(); }
struct nic_counts nic_counts(void) { return (struct nic_counts){accesses}; }
