#include "rng.h"

#include <stdbool.h>

#include "clock.h"
#include "cpu.h"
#include "virtio.h"

enum { QUEUE_SIZE = 8, TIMEOUT_MS = 5000 };

static struct virtqueue queue;
static bool ready;

static const char *start(struct virtio_device *device)
{
    const char *error = virtio_start(device, VIRTIO_F_EVENT_IDX);
    if (!error)
        error = virtio_setup_queue(device, 0, QUEUE_SIZE, false, &queue);
    if (!error)
        virtio_run(device);
    return error;
}

void rng_forget(void) { ready = false; }

const char *rng_read(void *buffer, uint32_t size)
{
    struct virtio_device *device = virtio_get(VIRTIO_ENTROPY, 0);
    if (!device)
        return "no virtio-rng device";
    const char *error = ready ? 0 : start(device);
    if (error)
        return error;
    ready = false; /* until this read has succeeded: after an error, the next one reinitializes the device */
    for (uint32_t got = 0; got < size;) {
        queue.desc[0] = (struct virtq_desc){(uint64_t)buffer + got, size - got, VIRTQ_DESC_WRITE, 0};
        virtqueue_add(&queue, 0);
        virtqueue_kick(&queue);
        uint32_t head, length;
        uint64_t begin = rdtsc();
        while (!virtqueue_take(&queue, &head, &length))
            if (rdtsc() - begin > ms_to_ticks(TIMEOUT_MS))
                return virtio_needs_reset(device) ? "the device needs a reset" : "the device returned no bytes within 5 s";
        if (length == 0 || length > size - got)
            return "the device returned a wrong number of bytes";
        got += length;
    }
    ready = true;
    return 0;
}
