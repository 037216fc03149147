/* Disks on virtio-blk (virtio 1.3 §5.2) or virtio-scsi (§5.6): keeps several requests in flight and measures them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stats.h"

enum { BLK_SECTOR = 512, BLK_MAX_DEPTH = 256, BLK_MAX_BLOCK = 1 << 20 };
/* Disks from here on are unit 0 of the first targets of the first virtio-scsi device. */
enum { BLK_FIRST_SCSI = 8, BLK_MAX_DISKS = 16 };

struct blk_job {
    unsigned disk; /* the n-th virtio-blk device, or a SCSI disk */
    bool write;
    bool interrupts;      /* wait for MSI-X instead of polling */
    bool indirect;        /* one descriptor per request, pointing to a table; else chains if the queue has room */
    uint64_t block_bytes; /* a multiple of BLK_SECTOR, at most BLK_MAX_BLOCK */
    unsigned depth;       /* requests in flight, at most BLK_MAX_DEPTH */
    uint64_t count;       /* requests to do, UINT64_MAX for no limit */
    uint64_t ms;          /* time to run, 0 for no limit */
    /* Block number of request `sequence`, in units of block_bytes. */
    uint64_t (*place)(void *context, uint64_t sequence);
    /* Called with the buffer before a write and after a read; may be NULL. */
    void (*visit)(void *context, uint64_t sequence, void *buffer);
    void *context;
};

struct blk_result {
    uint64_t done, errors, ticks, kicks;
    struct stats latency;
    bool interrupted; /* by Ctrl-C */
};

/* How many blocks of that size the disk has; 0 if there is no such disk. */
uint64_t blk_blocks(unsigned disk, uint64_t block_bytes);

/* Runs the job. Returns NULL or an error. */
const char *blk_run(const struct blk_job *job, struct blk_result *result);

/* Notes that something else used the device: the next job resets it. */
void blk_forget(unsigned disk);

/* Flushes the disk's cache. Returns NULL or an error. */
const char *blk_flush(unsigned disk);
