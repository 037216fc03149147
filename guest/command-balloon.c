/* The balloon command: gives memory to the host through virtio-balloon (virtio 1.3 §5.5). */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "text.h"
#include "virtio.h"

/* As in Linux: the number of page numbers per request. */
enum { PAGE = 4096, NUMBERS = 256, INFLATE = 0, QUEUE = 64, TIMEOUT_MS = 60000 };

/* §5.5.3: the host may collect pages, since the driver tells before it uses them again. This one never does. */
#define BALLOON_F_MUST_TELL_HOST (1ull << 0)

static struct virtqueue queue;
static uint32_t (*requests)[NUMBERS];

static const char *start(struct virtio_device *device)
{
    const char *error = virtio_start(device, VIRTIO_F_EVENT_IDX | BALLOON_F_MUST_TELL_HOST);
    if (!error)
        error = virtio_setup_queue(device, INFLATE, QUEUE, false, &queue);
    if (error)
        return error;
    if (!requests)
        requests = memory_alloc(QUEUE * sizeof *requests, PAGE);
    virtio_run(device);
    return 0;
}

/* The number of the n-th page: in order; or every other page first and then the rest, so that no two in a row are
 * adjacent. */
static uint64_t page_number(uint64_t n, uint64_t pages, bool scattered)
{
    if (!scattered)
        return n;
    uint64_t half = (pages + 1) / 2;
    return n < half ? 2 * n : 2 * (n - half) + 1;
}

static const char *inflate(struct virtio_device *device, uint64_t first, uint64_t pages, bool scattered)
{
    uint64_t given = 0, returned = 0, begin = rdtsc();
    uint16_t next = 0, in_flight = 0;
    while (returned < pages) {
        while (in_flight < queue.size && given < pages) {
            uint16_t slot = next++ % queue.size;
            uint32_t count = 0;
            for (; count < NUMBERS && given < pages; count++, given++)
                requests[slot][count] = (uint32_t)(first + page_number(given, pages, scattered));
            queue.desc[slot] = (struct virtq_desc){(uint64_t)requests[slot], count * sizeof(uint32_t), 0, 0};
            virtqueue_add(&queue, slot);
            in_flight++;
        }
        virtqueue_kick(&queue);
        uint32_t head, length;
        /* Balloons return requests in order. */
        while (!virtqueue_take(&queue, &head, &length))
            if (virtio_needs_reset(device) || rdtsc() - begin > ms_to_ticks(TIMEOUT_MS))
                return "the device does not take the pages";
        returned += queue.desc[head % queue.size].length / sizeof(uint32_t);
        in_flight--;
    }
    return 0;
}

const char *command_balloon(unsigned count, char **words)
{
    uint64_t bytes, room;
    bool scattered = count == 3 && text_equal(words[2], "scattered");
    if (count < 2 || count > 3 || (count == 3 && !scattered) || !parse_number(words[1], &bytes) || bytes < PAGE)
        return "usage: balloon SIZE [scattered]";
    struct virtio_device *device = virtio_get(VIRTIO_BALLOON, 0);
    if (!device)
        return "no balloon";
    const char *error = start(device);
    if (error)
        return error;
    uint64_t memory = (uint64_t)memory_scratch(&room), pages = bytes / PAGE;
    if (room < bytes)
        return "there is not as much memory";
    uint64_t begin = rdtsc();
    for (uint64_t page = 0; page < pages; page++)
        *(volatile uint64_t *)(memory + page * PAGE) = page + 1;
    uint64_t touched = rdtsc();
    error = inflate(device, memory / PAGE, pages, scattered);
    if (error)
        return error;
    print("result balloon pages=%lu us=%lu touch_us=%lu kicks=%lu\n", pages, ticks_to_ns(rdtsc() - touched) / 1000,
          ticks_to_ns(touched - begin) / 1000, queue.kicks);
    return NULL;
}
