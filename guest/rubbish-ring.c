/* rubbish ring: a driver that violates the split virtqueue (virtio 1.3 §2.7) and virtio-blk (§5.2.6) protocols in every
 * way we know. Each case starts from a freshly reset device, and afterward a correct driver must get its data.
 */

#include <stddef.h>

#include "blk.h"
#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "rubbish.h"
#include "text.h"
#include "virtio.h"

enum { QUEUE_SIZE = 64, STATUS_UNSET = 0xff, TABLE = 8, DATA_SIZE = 512 };
enum { DAMAGED_WAIT_MS = 200, CORRECT_WAIT_MS = 5000, LOOK_EVERY_MS = 5 };
#define NOWHERE 0x7ffffffff000ull /* neither RAM nor a device */

struct request {
    uint32_t type, reserved;
    uint64_t sector;
};

static struct {
    struct virtio_device *device;
    struct virtqueue queue;
    struct request *request;
    uint8_t *status, *data;
    struct virtq_desc *table;
} ring;

/* A correct read of sector 0 in descriptors 0, 1, 2 of `d`, which each case then corrupts. */
static void correct_request(struct virtq_desc *d)
{
    *ring.request = (struct request){0};
    *ring.status = STATUS_UNSET;
    d[0] = (struct virtq_desc){(uint64_t)ring.request, sizeof *ring.request, VIRTQ_DESC_NEXT, 1};
    d[1] = (struct virtq_desc){(uint64_t)ring.data, DATA_SIZE, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 2};
    d[2] = (struct virtq_desc){(uint64_t)ring.status, 1, VIRTQ_DESC_WRITE, 0};
}

static void indirect_request(uint32_t bytes)
{
    correct_request(ring.table);
    ring.queue.desc[0] = (struct virtq_desc){(uint64_t)ring.table, bytes, VIRTQ_DESC_INDIRECT, 0};
}

static void header_nowhere(struct virtq_desc *d) { d[0].address = NOWHERE; }
static void data_nowhere(struct virtq_desc *d) { d[1].address = NOWHERE; }
static void status_nowhere(struct virtq_desc *d) { d[2].address = NOWHERE; }
static void address_wraps(struct virtq_desc *d) { d[1].address = UINT64_MAX - 16; }
static void data_4g(struct virtq_desc *d) { d[1].length = UINT32_MAX; }
static void data_empty(struct virtq_desc *d) { d[1].length = 0; }
static void data_odd(struct virtq_desc *d) { d[1].length = 511; }
static void header_short(struct virtq_desc *d) { d[0].length = 8; }
static void header_writable(struct virtq_desc *d) { d[0].flags |= VIRTQ_DESC_WRITE; }
static void status_read_only(struct virtq_desc *d) { d[2].flags = 0; }
static void status_missing(struct virtq_desc *d) { d[0].flags = 0; }
static void loop_on_itself(struct virtq_desc *d) { d[1].next = 1; }
static void loop_back(struct virtq_desc *d) { d[2] = (struct virtq_desc){(uint64_t)ring.data, 1, VIRTQ_DESC_NEXT, 0}; }
static void next_outside(struct virtq_desc *d) { d[1].next = QUEUE_SIZE; }
static void next_far_outside(struct virtq_desc *d) { d[1].next = 0xffff; }
static void unknown_type(struct virtq_desc *d) { (void)d, ring.request->type = 0x12345678; }
static void beyond_the_end(struct virtq_desc *d) { (void)d, ring.request->sector = UINT64_MAX / 512; }
static void sector_wraps(struct virtq_desc *d) { (void)d, ring.request->sector = UINT64_MAX; }
static void indirect_odd_size(struct virtq_desc *d) { (void)d, indirect_request(40); }
static void indirect_empty(struct virtq_desc *d) { (void)d, indirect_request(0); }
static void indirect_huge(struct virtq_desc *d) { (void)d, indirect_request(0xfffffff0); }

static void indirect_nowhere(struct virtq_desc *d)
{
    indirect_request(48);
    d[0].address = NOWHERE;
}

static void indirect_and_next(struct virtq_desc *d)
{
    indirect_request(48);
    d[0].flags |= VIRTQ_DESC_NEXT;
    d[0].next = 1;
}

static void indirect_nested(struct virtq_desc *d)
{
    (void)d;
    indirect_request(48);
    ring.table[0] = (struct virtq_desc){(uint64_t)ring.table, 48, VIRTQ_DESC_INDIRECT, 0};
}

static void indirect_loop(struct virtq_desc *d)
{
    (void)d;
    indirect_request(48);
    ring.table[1].next = 0;
}

static void index_jump(struct virtq_desc *d) { (void)d, ring.queue.next += QUEUE_SIZE + 1; }
static void index_backwards(struct virtq_desc *d) { (void)d, ring.queue.next -= 2; }
static void head_outside(struct virtq_desc *d) { (void)d, ring.queue.avail->ring[0] = QUEUE_SIZE; }
static void head_far_outside(struct virtq_desc *d) { (void)d, ring.queue.avail->ring[0] = 0xffff; }

static const struct {
    const char *name;
    void (*damage)(struct virtq_desc *d); /* the request is already in the ring, but not published */
} cases[] = {
    {"header outside memory", header_nowhere},
    {"data outside memory", data_nowhere},
    {"status outside memory", status_nowhere},
    {"address that wraps", address_wraps},
    {"4 GiB of data", data_4g},
    {"no data", data_empty},
    {"511 bytes of data", data_odd},
    {"short header", header_short},
    {"writable header", header_writable},
    {"read-only status", status_read_only},
    {"header alone", status_missing},
    {"descriptor that follows itself", loop_on_itself},
    {"chain that returns", loop_back},
    {"next outside the table", next_outside},
    {"next far outside", next_far_outside},
    {"unknown request", unknown_type},
    {"sector beyond the end", beyond_the_end},
    {"sector that wraps", sector_wraps},
    {"indirect table of 2.5 entries", indirect_odd_size},
    {"empty indirect table", indirect_empty},
    {"indirect table of 4 GiB", indirect_huge},
    {"indirect table outside memory", indirect_nowhere},
    {"indirect and next", indirect_and_next},
    {"indirect in indirect", indirect_nested},
    {"loop in an indirect table", indirect_loop},
    {"index jump", index_jump},
    {"index backwards", index_backwards},
    {"head outside the table", head_outside},
    {"head far outside", head_far_outside},
};
enum { CASES = sizeof cases / sizeof *cases };

/* The device's reaction within `ms`, in words. */
static const char *observe(uint64_t ms)
{
    uint64_t start = rdtsc(), looked = start;
    uint32_t head, length;
    while (rdtsc() - start < ms_to_ticks(ms)) {
        if (virtqueue_take(&ring.queue, &head, &length))
            return *ring.status == 0   ? "completed as good"
                   : *ring.status == 1 ? "failed the request"
                   : *ring.status == 2 ? "does not know the request"
                                       : "completed without a status";
        cpu_pause();
        if (rdtsc() - looked < ms_to_ticks(LOOK_EVERY_MS))
            continue;
        looked = rdtsc();
        if (virtio_needs_reset(ring.device))
            return "asked for a reset";
    }
    return "did nothing";
}

/* Reinitializes the device, with a correct request in the ring that isn't published yet. */
static const char *prepare(void)
{
    const char *error = virtio_start(ring.device, VIRTIO_F_INDIRECT_DESC);
    if (!error)
        error = virtio_setup_queue(ring.device, 0, QUEUE_SIZE, false, &ring.queue);
    if (error)
        return error;
    virtio_run(ring.device);
    correct_request(ring.queue.desc);
    virtqueue_add(&ring.queue, 0);
    return NULL;
}

static void allocate(void)
{
    if (ring.request)
        return;
    ring.request = memory_alloc(sizeof *ring.request, 16);
    ring.data = memory_alloc(DATA_SIZE, DATA_SIZE);
    ring.table = memory_alloc(TABLE * sizeof *ring.table, 16);
    ring.status = memory_alloc(1, 1);
}

const char *rubbish_ring(void)
{
    ring.device = virtio_get(VIRTIO_BLOCK, 0);
    if (!ring.device)
        return "no disk";
    blk_forget(0);
    allocate();
    unsigned survived = 0;
    for (unsigned i = 0; i < CASES; i++) {
        const char *error = prepare();
        if (error)
            return error;
        cases[i].damage(ring.queue.desc);
        virtqueue_kick(&ring.queue);
        const char *reaction = observe(DAMAGED_WAIT_MS);
        error = prepare();
        if (error)
            return error;
        virtqueue_kick(&ring.queue);
        bool works = text_equal(observe(CORRECT_WAIT_MS), "completed as good");
        survived += works;
        print("  %s: %s; %s\n", cases[i].name, reaction, works ? "works after a reset" : "DOES NOT WORK after a reset");
    }
    print("result rubbish-ring cases=%u survived=%u\n", CASES, survived);
    return NULL;
}
