#include "virtio.h"

#include "clock.h"
#include "cpu.h"
#include "interrupts.h"
#include "memory.h"
#include "segments.h"

enum { VENDOR_VIRTIO = 0x1af4, DEVICE_MODERN = 0x1040, DEVICE_TRANSITIONAL = 0x1000, SUBSYSTEM_ID = 0x2e };

/* §4.1.4: struct virtio_pci_cap. */
enum { CAP_CFG_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_NOTIFY_MULTIPLIER = 16 };
enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };

/* §4.1.4.3: struct virtio_pci_common_cfg. */
enum {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    DEVICE_STATUS = 0x14,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_MSIX_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };

/* PCI Local Bus 3.0 §6.8.2. */
enum { MSIX_CONTROL = 2, MSIX_CONTROL_ENABLE = 1 << 15, MSIX_TABLE = 4 };
enum { MSIX_ENTRY_ADDRESS = 0, MSIX_ENTRY_ADDRESS_HIGH = 4, MSIX_ENTRY_DATA = 8, MSIX_ENTRY_CONTROL = 12 };
#define MSI_ADDRESS 0xfee00000u /* to the CPU with APIC ID 0 */

enum { RESET_MS = 500 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

struct virtio_device virtio_devices[VIRTIO_MAX_DEVICES];
unsigned virtio_device_count;

const char *virtio_type_name(uint16_t type)
{
    static const char *const names[] = {
        [1] = "net", [2] = "blk",  [3] = "console", [4] = "rng",    [5] = "balloon", [8] = "scsi",
        [9] = "9p",  [16] = "gpu", [18] = "input",  [19] = "vsock", [26] = "fs",     [27] = "pmem"};
    return type < sizeof names / sizeof *names && names[type] ? names[type] : "device";
}

/* The type of device, or 0 if the function is not virtio (§4.1.2). */
static uint16_t device_type(const struct pci_function *f)
{
    if (f->vendor != VENDOR_VIRTIO)
        return 0;
    if (f->device > DEVICE_MODERN && f->device < DEVICE_MODERN + 64)
        return f->device - DEVICE_MODERN;
    return f->device >= DEVICE_TRANSITIONAL && f->device < DEVICE_MODERN ? pci_read16(f, SUBSYSTEM_ID) : 0;
}

/* Reads the virtio capabilities; the first of each type wins. */
static void find_registers(struct virtio_device *d)
{
    const struct pci_function *f = &d->pci;
    for (unsigned cap = 0; (cap = pci_find_capability(f, PCI_CAP_VENDOR, cap));) {
        uint8_t type = pci_read8(f, cap + CAP_CFG_TYPE);
        uint64_t *place = type == CFG_COMMON   ? &d->common
                          : type == CFG_NOTIFY ? &d->notify
                          : type == CFG_ISR    ? &d->isr
                          : type == CFG_DEVICE ? &d->config
                                               : 0;
        uint64_t bar = place && !*place ? pci_bar_address(f, pci_read8(f, cap + CAP_BAR)) : 0;
        if (!bar)
            continue;
        *place = bar + pci_read32(f, cap + CAP_OFFSET);
        if (type == CFG_NOTIFY)
            d->notify_multiplier = pci_read32(f, cap + CAP_NOTIFY_MULTIPLIER);
    }
}

static uint64_t find_in_ring0(uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    virtio_device_count = 0;
    for (unsigned i = 0; i < pci_function_count && virtio_device_count < VIRTIO_MAX_DEVICES; i++) {
        uint16_t type = device_type(&pci_functions[i]);
        if (!type)
            continue;
        struct virtio_device *d = &virtio_devices[virtio_device_count++];
        *d = (struct virtio_device){.pci = pci_functions[i], .type = type};
        find_registers(d);
        if (!d->common || !d->notify)
            d->unusable = "no virtio 1.x registers in memory BARs";
        pci_write16(&d->pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
    }
    return 0;
}

void virtio_find(void)
{
    ring0_call(find_in_ring0, 0, 0, 0);
    for (unsigned i = 0; i < virtio_device_count; i++) {
        const struct virtio_device *d = &virtio_devices[i];
        const uint64_t blocks[] = {d->common, d->notify, d->isr, d->config};
        for (unsigned j = 0; j < sizeof blocks / sizeof *blocks; j++)
            memory_map_device(blocks[j], 1);
    }
}

struct virtio_device *virtio_get(uint16_t type, unsigned n)
{
    for (unsigned i = 0; i < virtio_device_count; i++)
        if (virtio_devices[i].type == type && n-- == 0)
            return &virtio_devices[i];
    return 0;
}

bool virtio_reset(struct virtio_device *d)
{
    write8(d->common + DEVICE_STATUS, 0);
    uint64_t begin = rdtsc(), length = ms_to_ticks(RESET_MS);
    do {
        if (read8(d->common + DEVICE_STATUS) == 0)
            return true;
    } while (rdtsc() - begin < length);
    return false;
}

bool virtio_needs_reset(const struct virtio_device *d) { return read8(d->common + DEVICE_STATUS) & NEEDS_RESET; }

static uint64_t start_in_ring0(uint64_t device, uint64_t wanted, uint64_t unused)
{
    (void)unused;
    struct virtio_device *d = (struct virtio_device *)device;
    if (!virtio_reset(d))
        return (uint64_t)"the device did not finish its reset";
    write8(d->common + DEVICE_STATUS, ACKNOWLEDGE);
    write8(d->common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER);
    d->features = 0;
    for (uint32_t half = 0; half < 2; half++) {
        write32(d->common + DEVICE_FEATURE_SELECT, half);
        uint32_t features = read32(d->common + DEVICE_FEATURE) & (uint32_t)((wanted | VIRTIO_F_VERSION_1) >> 32 * half);
        write32(d->common + DRIVER_FEATURE_SELECT, half);
        write32(d->common + DRIVER_FEATURE, features);
        d->features |= (uint64_t)features << 32 * half;
    }
    write8(d->common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (!(read8(d->common + DEVICE_STATUS) & FEATURES_OK) || !(d->features & VIRTIO_F_VERSION_1))
        return (uint64_t)"the device refused the features";
    return 0;
}

const char *virtio_start(struct virtio_device *d, uint64_t wanted)
{
    if (d->unusable)
        return d->unusable;
    tsc_khz(); /* calibrates on the first call, which must not happen in ring 0 */
    return (const char *)ring0_call(start_in_ring0, (uint64_t)d, wanted, 0);
}

/* MSI-X entry 0 interrupts this CPU; the queue uses that entry. */
static const char *enable_msix(struct virtio_device *d)
{
    unsigned cap = pci_find_capability(&d->pci, PCI_CAP_MSIX, 0);
    if (!cap)
        return "the device has no MSI-X";
    uint32_t table = pci_read32(&d->pci, cap + MSIX_TABLE);
    uint64_t entry = pci_bar_address(&d->pci, table & 7);
    if (!entry)
        return "the MSI-X table's BAR has no address";
    entry += table & ~7u;
    memory_map_device(entry, 16);
    interrupts_enable_msi();
    write32(entry + MSIX_ENTRY_ADDRESS, MSI_ADDRESS);
    write32(entry + MSIX_ENTRY_ADDRESS_HIGH, 0);
    write32(entry + MSIX_ENTRY_DATA, VECTOR_MSI);
    write32(entry + MSIX_ENTRY_CONTROL, 0);
    pci_write16(&d->pci, cap + MSIX_CONTROL, MSIX_CONTROL_ENABLE);
    write16(d->common + QUEUE_MSIX_VECTOR, 0);
    return read16(d->common + QUEUE_MSIX_VECTOR) == 0 ? 0 : "the device refused the MSI-X vector";
}

static void write64(uint64_t address, uint64_t value)
{
    write32(address, (uint32_t)value);
    write32(address + 4, (uint32_t)(value >> 32));
}

static uint64_t setup_in_ring0(uint64_t device, uint64_t queue, uint64_t unused)
{
    (void)unused;
    struct virtio_device *d = (struct virtio_device *)device;
    struct virtqueue *q = (struct virtqueue *)queue;
    write16(d->common + QUEUE_SELECT, q->index);
    uint16_t max = read16(d->common + QUEUE_SIZE);
    if (max == 0)
        return (uint64_t)"the device does not have that queue";
    if (q->size > max)
        q->size = max;
    write16(d->common + QUEUE_SIZE, q->size);
    if (q->interrupts) {
        const char *error = enable_msix(d);
        if (error)
            return (uint64_t)error;
    }
    write64(d->common + QUEUE_DESC, (uint64_t)q->desc);
    write64(d->common + QUEUE_DRIVER, (uint64_t)q->avail);
    write64(d->common + QUEUE_DEVICE, (uint64_t)q->used);
    q->notify_address = d->notify + (uint64_t)read16(d->common + QUEUE_NOTIFY_OFF) * d->notify_multiplier;
    write16(d->common + QUEUE_ENABLE, 1);
    return 0;
}

/* The event index of the other side's ring (§2.7.7.1, §2.7.10.1). */
static volatile uint16_t *used_event(struct virtqueue *q) { return &q->avail->ring[q->size]; }

static volatile uint16_t *avail_event(struct virtqueue *q) { return (volatile uint16_t *)&q->used->ring[q->size]; }

/* Requests an interrupt at the next completion, or none: with EVENT_IDX, "none" is an index far away. */
static void ask_for_interrupt(struct virtqueue *q, bool wanted)
{
    if (q->event_idx)
        *used_event(q) = (uint16_t)(wanted ? q->last_used : q->last_used + 0x8000);
    else
        q->avail->flags = wanted ? 0 : AVAIL_NO_INTERRUPT;
}

const char *virtio_setup_queue(struct virtio_device *d, uint16_t index, uint16_t max_size, bool interrupts,
                               struct virtqueue *q)
{
    struct virtqueue old = *q;
    *q = (struct virtqueue){.size = max_size, .index = index, .interrupts = interrupts};
    q->event_idx = d->features & VIRTIO_F_EVENT_IDX;
    bool reuse = old.desc && old.size >= max_size;
    q->desc = reuse ? old.desc : memory_alloc(16 * max_size, 4096);
    q->avail = reuse ? old.avail : memory_alloc(6 + 2 * max_size, 4096);
    q->used = reuse ? old.used : memory_alloc(6 + 8 * max_size, 4096);
    const char *error = (const char *)ring0_call(setup_in_ring0, (uint64_t)d, (uint64_t)q, 0);
    q->avail->index = q->avail->flags = 0;
    q->used->index = q->used->flags = 0;
    *avail_event(q) = 0;
    ask_for_interrupt(q, interrupts);
    return error;
}

void virtio_run(struct virtio_device *d)
{
    write8(d->common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

uint64_t virtio_config64(const struct virtio_device *d, unsigned offset)
{
    return read32(d->config + offset) | (uint64_t)read32(d->config + offset + 4) << 32;
}

void virtqueue_add(struct virtqueue *q, uint16_t head)
{
    q->avail->ring[q->next % q->size] = head;
    q->next++;
}

/* §2.7.10.1: does moving the index from `old` to `new` pass `event`? */
static bool passes(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

void virtqueue_kick(struct virtqueue *q)
{
    if (q->next == q->published)
        return;
    compiler_barrier();
    q->avail->index = q->next;
    memory_barrier(); /* the device writes its event or flag and then reads the index; we do the reverse */
    bool wanted = q->event_idx ? passes(*avail_event(q), q->next, q->published) : !(q->used->flags & USED_NO_NOTIFY);
    q->published = q->next;
    if (!wanted)
        return;
    write16(q->notify_address, q->index);
    q->kicks++;
}

bool virtqueue_take(struct virtqueue *q, uint32_t *head, uint32_t *length)
{
    if (q->used->index == q->last_used)
        return false;
    compiler_barrier();
    *head = q->used->ring[q->last_used % q->size].id;
    *length = q->used->ring[q->last_used % q->size].length;
    q->last_used++;
    if (!q->interrupts && q->event_idx && q->last_used % 0x1000 == 0)
        ask_for_interrupt(q, false);
    return true;
}

void virtqueue_wait(struct virtqueue *q)
{
    ask_for_interrupt(q, true);
    memory_barrier();
    if (q->used->index == q->last_used)
        interrupts_wait(IRQ_MSI | IRQ_TIMER);
}
