/* A virtio 1.x driver over PCI: virtio 1.3 §2.7 (split virtqueues), §3.1.1 (initialization), §4.1 (PCI). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

enum { VIRTIO_NET = 1, VIRTIO_BLOCK = 2, VIRTIO_ENTROPY = 4, VIRTIO_BALLOON = 5, VIRTIO_SCSI = 8 };
enum { VIRTIO_MAX_DEVICES = 16 };

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

struct virtio_device {
    struct pci_function pci;
    uint16_t type;
    uint64_t common, notify, isr, config; /* addresses of the register blocks; config may be 0 */
    uint32_t notify_multiplier;
    uint64_t features;    /* negotiated */
    const char *unusable; /* why it can't be driven, or NULL */
};

struct virtq_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
enum { VIRTQ_DESC_NEXT = 1, VIRTQ_DESC_WRITE = 2, VIRTQ_DESC_INDIRECT = 4 };

struct virtq_avail {
    uint16_t flags, index;
    uint16_t ring[]; /* followed by used_event */
};

struct virtq_used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[]; /* followed by avail_event */
};

struct virtqueue {
    uint16_t size;
    struct virtq_desc *desc;
    volatile struct virtq_avail *avail;
    volatile struct virtq_used *used;
    uint64_t notify_address;
    uint16_t index;
    bool event_idx;
    bool interrupts;    /* the driver requests interrupts */
    uint16_t next;      /* our avail index, published or not */
    uint16_t published; /* the avail index last published to the device */
    uint16_t last_used;
    uint64_t kicks;
};

extern struct virtio_device virtio_devices[VIRTIO_MAX_DEVICES];
extern unsigned virtio_device_count;

/* Finds the virtio functions among pci_functions and their register blocks. */
void virtio_find(void);

/* The `n`-th device of that type, or NULL. */
struct virtio_device *virtio_get(uint16_t type, unsigned n);

/* "blk", "rng", "net" ... */
const char *virtio_type_name(uint16_t type);

/* Resets the device and negotiates VERSION_1 and those of `wanted` that it offers. Returns NULL or an error. */
const char *virtio_start(struct virtio_device *device, uint64_t wanted);

/* Sets up queue `index` with at most `max_size` entries; with `interrupts`, through MSI-X entry 0. */
const char *virtio_setup_queue(struct virtio_device *device, uint16_t index, uint16_t max_size, bool interrupts,
                               struct virtqueue *queue);

/* After setting up the queues: sets DRIVER_OK. */
void virtio_run(struct virtio_device *device);

/* Returns false if the device times out. */
bool virtio_reset(struct virtio_device *device);
bool virtio_needs_reset(const struct virtio_device *device);
uint64_t virtio_config64(const struct virtio_device *device, unsigned offset);

/* Adds a chain to the avail ring; the device sees it at the next virtqueue_kick. */
void virtqueue_add(struct virtqueue *queue, uint16_t head);

/* Publishes the added chains, and notifies the device if it asked for notifications. */
void virtqueue_kick(struct virtqueue *queue);

/* Takes one completed chain; false if there is none. */
bool virtqueue_take(struct virtqueue *queue, uint32_t *head, uint32_t *length);

/* Waits for the device's or the timer's interrupt, unless a chain has completed. */
void virtqueue_wait(struct virtqueue *queue);
