#include "blk.h"

#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "memory.h"
#include "scsi.h"
#include "virtio.h"

/* §5.2.3, §5.2.6. */
#define BLK_F_FLUSH (1ull << 9)
enum { REQUEST_READ = 0, REQUEST_WRITE = 1, REQUEST_FLUSH = 4, STATUS_OK = 0, STATUS_UNSET = 0xff };
/* Its SCSI command has already been prepared. */
enum { REQUEST_PREPARED = 0x100 };
enum { CONFIG_CAPACITY = 0, MAX_QUEUE = 256, DESCRIPTORS = 3 };
enum { CHECK_EVERY_MS = 200, TIMEOUT_MS = 30000, SCSI_TRIES = 8 };

struct request_header {
    uint32_t type, reserved;
    uint64_t sector;
};

/* The state of a request in flight, besides its data. */
struct slot {
    struct virtq_desc table[DESCRIPTORS]; /* for an indirect request */
    struct request_header header;
    uint8_t status;
    struct scsi_exchange scsi;
    char *data;
    uint64_t sequence, start;
};

struct disk {
    struct virtio_device *device;
    struct virtqueue queue;
    struct slot *slots;
    bool ready, interrupts;
    bool scsi;
    uint64_t scsi_sectors; /* known after the first query */
};

static struct disk disks[BLK_MAX_DISKS];

static struct disk *get_disk(unsigned n)
{
    if (n >= BLK_MAX_DISKS)
        return 0;
    disks[n].scsi = n >= BLK_FIRST_SCSI;
    disks[n].device = disks[n].scsi ? virtio_get(VIRTIO_SCSI, 0) : virtio_get(VIRTIO_BLOCK, n);
    return disks[n].device && !disks[n].device->unusable ? &disks[n] : 0;
}

static unsigned target_of(const struct disk *disk) { return (unsigned)(disk - disks) - BLK_FIRST_SCSI; }

static uint64_t scsi_sectors(struct disk *disk);

uint64_t blk_blocks(unsigned n, uint64_t block_bytes)
{
    struct disk *disk = get_disk(n);
    if (!disk || !disk->device->config)
        return 0;
    if (disk->scsi)
        return scsi_sectors(disk) * BLK_SECTOR / block_bytes;
    return virtio_config64(disk->device, CONFIG_CAPACITY) * BLK_SECTOR / block_bytes;
}

static const char *scsi_start(struct disk *disk);

/* Initializes the device (§3.1.1), unless it is already in use in that mode. */
static const char *start(struct disk *disk, bool interrupts)
{
    if (disk->ready && disk->interrupts == interrupts)
        return 0;
    disk->ready = false;
    for (unsigned n = BLK_FIRST_SCSI; disk->scsi && n < BLK_MAX_DISKS; n++)
        disks[n].ready = false; /* they share the device, which is reset */
    tsc_khz(); /* calibrates on the first call, which must not count as request time */
    const char *error = virtio_start(disk->device, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | BLK_F_FLUSH);
    if (!error)
        error = virtio_setup_queue(disk->device, disk->scsi ? SCSI_REQUEST_QUEUE : 0, MAX_QUEUE, interrupts, &disk->queue);
    if (error)
        return error;
    virtio_run(disk->device);
    if (!disk->slots)
        disk->slots = memory_alloc(BLK_MAX_DEPTH * sizeof *disk->slots, 64);
    disk->interrupts = interrupts;
    disk->ready = true;
    return disk->scsi ? scsi_start(disk) : 0;
}

/* A request is a header, data (none for a flush), and a status byte: §5.2.6.4. `first` is the index of the chain's head
 * in the table that contains `d`. */
static unsigned describe(struct disk *disk, struct slot *slot, struct virtq_desc *d, uint16_t first, uint64_t bytes)
{
    if (disk->scsi)
        return scsi_describe(&slot->scsi, d, first, slot->data, (uint32_t)bytes, slot->header.type != REQUEST_WRITE);
    bool device_writes = slot->header.type == REQUEST_READ;
    unsigned i = 0;
    d[i] =
        (struct virtq_desc){(uint64_t)&slot->header, sizeof slot->header, VIRTQ_DESC_NEXT, (uint16_t)(first + i + 1)};
    i++;
    if (bytes) {
        uint16_t flags = VIRTQ_DESC_NEXT | (device_writes ? VIRTQ_DESC_WRITE : 0);
        d[i] = (struct virtq_desc){(uint64_t)slot->data, (uint32_t)bytes, flags, (uint16_t)(first + i + 1)};
        i++;
    }
    d[i++] = (struct virtq_desc){(uint64_t)&slot->status, 1, VIRTQ_DESC_WRITE, 0};
    return i;
}

static bool succeeded(const struct disk *disk, const struct slot *slot)
{
    return disk->scsi ? scsi_succeeded(&slot->scsi) : slot->status == STATUS_OK;
}

/* Queues slot `n`'s request. A direct chain has the descriptors 3n to 3n + 2, an indirect one has descriptor n. */
static void queue_request(struct disk *disk, unsigned n, uint32_t type, uint64_t sector, uint64_t bytes, bool indirect)
{
    struct virtqueue *q = &disk->queue;
    struct slot *slot = &disk->slots[n];
    slot->header = (struct request_header){.type = type, .sector = sector};
    slot->status = STATUS_UNSET;
    if (disk->scsi && type != REQUEST_PREPARED) {
        enum scsi_operation operation = type == REQUEST_READ    ? SCSI_READ
                                        : type == REQUEST_WRITE ? SCSI_WRITE
                                                                : SCSI_FLUSH;
        scsi_prepare(&slot->scsi, target_of(disk), operation, sector, (uint32_t)(bytes / BLK_SECTOR));
    }
    uint16_t head = (uint16_t)(indirect ? n : n * DESCRIPTORS);
    if (indirect) {
        uint32_t length = describe(disk, slot, slot->table, 0, bytes) * sizeof(struct virtq_desc);
        q->desc[head] = (struct virtq_desc){(uint64_t)slot->table, length, VIRTQ_DESC_INDIRECT, 0};
    } else {
        describe(disk, slot, &q->desc[head], head, bytes);
    }
    virtqueue_add(q, head);
}

/* Waits for one completion; returns its slot. */
static const char *complete(struct disk *disk, bool indirect, unsigned limit, unsigned *slot)
{
    uint64_t begin = rdtsc(), checked = begin;
    uint32_t head, length;
    while (!virtqueue_take(&disk->queue, &head, &length)) {
        if (disk->interrupts)
            virtqueue_wait(&disk->queue);
        else
            cpu_pause();
        uint64_t now = rdtsc();
        if (now - checked < ms_to_ticks(CHECK_EVERY_MS))
            continue;
        checked = now;
        if (virtio_needs_reset(disk->device))
            return "the device needs a reset";
        if (console_interrupted())
            return "interrupted";
        if (now - begin > ms_to_ticks(TIMEOUT_MS))
            return "a request did not complete within 30 s";
    }
    *slot = indirect ? head : head / DESCRIPTORS;
    return *slot < limit ? 0 : "the device completed a request that was never made";
}

/* One command to a SCSI disk, with an answer of at most `bytes` in slot 0's data. */
static const char *scsi_ask(struct disk *disk, enum scsi_operation operation, uint32_t bytes)
{
    unsigned slot;
    uint64_t size;
    disk->slots[0].data = memory_scratch(&size);
    scsi_prepare(&disk->slots[0].scsi, target_of(disk), operation, 0, 0);
    queue_request(disk, 0, REQUEST_PREPARED, 0, bytes, false);
    virtqueue_kick(&disk->queue);
    const char *error = complete(disk, false, 1, &slot);
    if (error)
        disk->ready = false;
    return error;
}

/* After a reset, the disk reports that before it does anything else. */
static const char *scsi_start(struct disk *disk)
{
    for (unsigned tries = 0; tries < SCSI_TRIES; tries++) {
        const char *error = scsi_ask(disk, SCSI_TEST_READY, 0);
        if (error)
            return error;
        if (scsi_succeeded(&disk->slots[0].scsi))
            return 0;
    }
    return "no such disk";
}

static uint64_t scsi_sectors(struct disk *disk)
{
    enum { CAPACITY_BYTES = 32 };
    if (disk->scsi_sectors)
        return disk->scsi_sectors;
    if (start(disk, false) || scsi_ask(disk, SCSI_READ_CAPACITY, CAPACITY_BYTES))
        return 0;
    if (!scsi_succeeded(&disk->slots[0].scsi))
        return 0;
    uint64_t last = 0;
    for (unsigned i = 0; i < sizeof last; i++)
        last = last << 8 | (uint8_t)disk->slots[0].data[i];
    return disk->scsi_sectors = last + 1;
}

static void submit(struct disk *disk, const struct blk_job *job, unsigned n, uint64_t sequence, bool indirect)
{
    struct slot *slot = &disk->slots[n];
    slot->sequence = sequence;
    if (job->write && job->visit)
        job->visit(job->context, sequence, slot->data);
    uint64_t sector = job->place(job->context, sequence) * (job->block_bytes / BLK_SECTOR);
    slot->start = rdtsc();
    queue_request(disk, n, job->write ? REQUEST_WRITE : REQUEST_READ, sector, job->block_bytes, indirect);
}

static const char *run(struct disk *disk, const struct blk_job *job, bool indirect, struct blk_result *result)
{
    struct virtqueue *q = &disk->queue;
    uint64_t begin = rdtsc(), length = job->ms ? ms_to_ticks(job->ms) : UINT64_MAX, issued = 0;
    bool stop = false;
    for (; issued < job->count && issued < job->depth; issued++)
        submit(disk, job, (unsigned)issued, issued, indirect);
    virtqueue_kick(q);
    while (result->done < issued) {
        unsigned n;
        const char *error = complete(disk, indirect, job->depth, &n);
        if (error)
            return error;
        struct slot *slot = &disk->slots[n];
        uint64_t now = rdtsc();
        stats_add(&result->latency, now - slot->start);
        result->done++;
        if (!succeeded(disk, slot))
            result->errors++;
        else if (!job->write && job->visit)
            job->visit(job->context, slot->sequence, slot->data);
        stop = stop || now - begin >= length || (result->interrupted |= console_interrupted());
        if (!stop && issued < job->count)
            submit(disk, job, n, issued++, indirect);
        if (q->used->index == q->last_used) /* submit in batches: as many as have completed */
            virtqueue_kick(q);
    }
    result->ticks = rdtsc() - begin;
    return 0;
}

const char *blk_run(const struct blk_job *job, struct blk_result *result)
{
    *result = (struct blk_result){0};
    struct disk *disk = get_disk(job->disk);
    if (!disk)
        return "no such disk";
    const char *error = start(disk, job->interrupts);
    if (error)
        return error;
    bool indirect = job->indirect || job->depth * DESCRIPTORS > disk->queue.size;
    if (job->depth > disk->queue.size || (indirect && !(disk->device->features & VIRTIO_F_INDIRECT_DESC)))
        return "the queue is too small for that depth";
    uint64_t scratch_bytes;
    char *scratch = memory_scratch(&scratch_bytes);
    if (job->depth * job->block_bytes > scratch_bytes)
        return "not enough memory for that many buffers of that size";
    for (unsigned i = 0; i < job->depth; i++)
        disk->slots[i].data = scratch + i * job->block_bytes;
    uint64_t kicks = disk->queue.kicks;
    if (job->interrupts)
        clock_start_ticks(); /* to detect a lost interrupt */
    error = run(disk, job, indirect, result);
    if (job->interrupts)
        clock_stop_ticks();
    result->kicks = disk->queue.kicks - kicks;
    if (error) { /* requests in flight must not write to memory that is reused */
        virtio_reset(disk->device);
        disk->ready = false;
    }
    return error;
}

void blk_forget(unsigned n) { disks[n].ready = false; }

const char *blk_flush(unsigned n)
{
    struct disk *disk = get_disk(n);
    if (!disk)
        return "no such disk";
    const char *error = start(disk, false);
    if (error)
        return error;
    if (!disk->scsi && !(disk->device->features & BLK_F_FLUSH))
        return 0; /* no cache to write back: §5.2.6.2 */
    unsigned slot;
    queue_request(disk, 0, REQUEST_FLUSH, 0, 0, false);
    virtqueue_kick(&disk->queue);
    error = complete(disk, false, 1, &slot);
    if (error)
        disk->ready = false;
    else if (!succeeded(disk, &disk->slots[0]))
        error = "the device failed the flush";
    return error;
}
