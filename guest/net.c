#include "net.h"

#include "clock.h"
#include "cpu.h"
#include "memory.h"
#include "text.h"
#include "virtio.h"

/* §5.1.3, §5.1.4, §5.1.6. */
#define NET_F_CSUM (1ull << 0)
#define NET_F_MAC (1ull << 5)
#define NET_F_HOST_TSO4 (1ull << 11)
#define NET_F_MRG_RXBUF (1ull << 15)
#define NET_F_STATUS (1ull << 16)
enum { STATUS_OFFSET = 4, STATUS_SHIFT = 16, LINK_UP = 1 };
enum { NEEDS_CSUM = 1, GSO_TCPV4 = 1 };
enum { RECEIVE = 0, TRANSMIT = 1, QUEUE = 256, RECEIVE_BUFFER = 2048, MAX_CARDS = 4 };
/* Of the buffers to send from, the first few hold the largest frames. */
enum { SEND_BUFFERS = NET_SEND_BUFFERS, SMALL_BUFFER = 2048, LARGE_BUFFERS = 16 };

struct header {
    uint8_t flags, gso_type;
    uint16_t header_length, gso_size, checksum_start, checksum_offset, buffers;
};

struct send_buffer {
    struct virtq_desc table[2];
    struct header header;
    uint8_t *data; /* allocated when first used */
};

/* Buffers of one size that no frame is in. */
struct pool {
    uint16_t free[SEND_BUFFERS];
    unsigned count;
};

struct card {
    struct virtio_device *device;
    struct virtqueue receive, transmit;
    uint8_t *received; /* QUEUE buffers */
    struct send_buffer *sends;
    struct pool small, large;
    struct pool *chosen; /* where net_buffer found a buffer */
    bool ready;
    struct net_mode mode;
    struct net_counts counts;
};

uint8_t net_address[NET_ADDRESS];

static struct card cards[MAX_CARDS];
static struct card *card;
static uint8_t *joined; /* a frame that spans several buffers */
static int returned;    /* the buffer of the frame that net_receive returned last, or -1 */

static void offer_receive(struct card *c, uint16_t index)
{
    c->receive.desc[index] = (struct virtq_desc){(uint64_t)c->received + (uint64_t)index * RECEIVE_BUFFER, RECEIVE_BUFFER,
                                                 VIRTQ_DESC_WRITE, 0};
    virtqueue_add(&c->receive, index);
}

static void release(struct card *c, uint16_t index)
{
    struct pool *pool = index < LARGE_BUFFERS ? &c->large : &c->small;
    pool->free[pool->count++] = index;
}

static const char *start(struct card *c)
{
    const uint64_t features = NET_F_CSUM | NET_F_MAC | NET_F_HOST_TSO4 | NET_F_MRG_RXBUF | NET_F_STATUS |
                              VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
    const char *error = virtio_start(c->device, features);
    if (!error)
        error = virtio_setup_queue(c->device, RECEIVE, QUEUE, false, &c->receive);
    if (!error)
        error = virtio_setup_queue(c->device, TRANSMIT, QUEUE, false, &c->transmit);
    if (error)
        return error;
    virtio_run(c->device);
    if (!c->received) {
        c->received = memory_alloc(QUEUE * RECEIVE_BUFFER, 4096);
        c->sends = memory_alloc(SEND_BUFFERS * sizeof *c->sends, 64);
    }
    c->small.count = c->large.count = 0;
    for (uint16_t i = 0; i < SEND_BUFFERS; i++)
        release(c, i);
    for (uint16_t i = 0; i < c->receive.size; i++)
        offer_receive(c, i);
    virtqueue_kick(&c->receive);
    c->ready = true;
    return 0;
}

const char *net_open(struct net_mode mode)
{
    if (mode.card >= MAX_CARDS || !virtio_get(VIRTIO_NET, mode.card))
        return "no such network card";
    card = &cards[mode.card];
    card->device = virtio_get(VIRTIO_NET, mode.card);
    card->mode = mode;
    card->counts = (struct net_counts){0};
    returned = -1;
    if (!joined)
        joined = memory_alloc(NET_MAX_FRAME + RECEIVE_BUFFER, 64);
    tsc_khz(); /* calibrates on the first call */
    const char *error = card->ready && !virtio_needs_reset(card->device) ? 0 : start(card);
    uint64_t address = error ? 0 : virtio_config64(card->device, 0);
    for (unsigned i = 0; i < NET_ADDRESS; i++)
        net_address[i] = (uint8_t)(address >> 8 * i);
    return error;
}

bool net_link(void)
{
    if (!(card->device->features & NET_F_STATUS))
        return true;
    return read32(card->device->config + STATUS_OFFSET) >> STATUS_SHIFT & LINK_UP;
}

bool net_broken(void) { return virtio_needs_reset(card->device); }

bool net_all_sent(void)
{
    uint32_t head, length;
    while (virtqueue_take(&card->transmit, &head, &length))
        release(card, (uint16_t)(card->mode.indirect ? head : head / 2));
    return card->small.count + card->large.count == SEND_BUFFERS;
}

uint8_t *net_buffer(uint32_t length)
{
    struct pool *pool = length > SMALL_BUFFER ? &card->large : &card->small;
    card->chosen = pool;
    if (pool->count == 0)
        net_all_sent();
    if (pool->count == 0)
        return 0;
    struct send_buffer *buffer = &card->sends[pool->free[pool->count - 1]];
    if (!buffer->data)
        buffer->data = memory_alloc(length > SMALL_BUFFER ? NET_MAX_FRAME : SMALL_BUFFER, 64);
    return buffer->data;
}

void net_send(uint32_t length, struct net_offload offload)
{
    uint16_t index = card->chosen->free[--card->chosen->count];
    struct send_buffer *buffer = &card->sends[index];
    buffer->header = (struct header){0};
    if (offload.checksum_offset) {
        buffer->header.flags = NEEDS_CSUM;
        buffer->header.checksum_start = offload.checksum_start;
        buffer->header.checksum_offset = offload.checksum_offset;
    }
    if (offload.segment_bytes) {
        buffer->header.gso_type = GSO_TCPV4;
        buffer->header.gso_size = offload.segment_bytes;
    }
    bool indirect = card->mode.indirect;
    uint16_t head = (uint16_t)(indirect ? index : 2 * index);
    struct virtq_desc *d = indirect ? buffer->table : &card->transmit.desc[head];
    uint16_t next = (uint16_t)(indirect ? 1 : head + 1);
    d[0] = (struct virtq_desc){(uint64_t)&buffer->header, sizeof buffer->header, VIRTQ_DESC_NEXT, next};
    d[1] = (struct virtq_desc){(uint64_t)buffer->data, length, 0, 0};
    if (indirect)
        card->transmit.desc[head] =
            (struct virtq_desc){(uint64_t)buffer->table, sizeof buffer->table, VIRTQ_DESC_INDIRECT, 0};
    virtqueue_add(&card->transmit, head);
    card->counts.sent++;
}

void net_flush(void) { virtqueue_kick(&card->transmit); }

const uint8_t *net_receive(uint32_t *length)
{
    if (returned >= 0) {
        offer_receive(card, (uint16_t)returned);
        virtqueue_kick(&card->receive);
        returned = -1;
    }
    uint32_t head, bytes;
    if (!virtqueue_take(&card->receive, &head, &bytes))
        return 0;
    uint8_t *buffer = card->received + (uint64_t)head * RECEIVE_BUFFER;
    uint16_t buffers = ((struct header *)buffer)->buffers;
    card->counts.received++;
    *length = bytes - (uint32_t)sizeof(struct header);
    if (buffers <= 1) {
        returned = (int)head;
        return buffer + sizeof(struct header);
    }
    memcpy(joined, buffer + sizeof(struct header), *length);
    offer_receive(card, (uint16_t)head);
    /* The device publishes all buffers of a frame at once. */
    while (--buffers && virtqueue_take(&card->receive, &head, &bytes)) {
        if (*length + bytes <= NET_MAX_FRAME)
            memcpy(joined + *length, card->received + (uint64_t)head * RECEIVE_BUFFER, bytes);
        *length += bytes;
        offer_receive(card, (uint16_t)head);
    }
    virtqueue_kick(&card->receive);
    return *length <= NET_MAX_FRAME ? joined : 0;
}

struct net_counts net_counts(void)
{
    card->counts.kicks = card->transmit.kicks;
    return card->counts;
}

uint16_t net_sum(const uint8_t *bytes, uint32_t length)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum += i & 1 ? bytes[i] : (uint64_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
