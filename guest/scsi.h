/* SCSI commands for virtio-scsi (virtio 1.3 §5.6.6.1). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "virtio.h"

enum { SCSI_REQUEST_QUEUE = 2, SCSI_DESCRIPTORS = 3 };
enum scsi_operation { SCSI_TEST_READY, SCSI_READ_CAPACITY, SCSI_READ, SCSI_WRITE, SCSI_FLUSH };

/* With the sizes that a device uses after its reset: 32 bytes of command, 96 of sense data. */
struct scsi_command {
    uint8_t lun[8];
    uint64_t id;
    uint8_t attribute, priority, crn;
    uint8_t cdb[32];
} __attribute__((packed));

struct scsi_outcome {
    uint32_t sense_length, residual;
    uint16_t status_qualifier;
    uint8_t status, response;
    uint8_t sense[96];
};

/* A request in flight, besides its data. */
struct scsi_exchange {
    struct scsi_command command;
    struct scsi_outcome outcome;
};

/* Fills in a command to unit 0 of `target`; `block` and `blocks` of a read or write. */
void scsi_prepare(struct scsi_exchange *exchange, unsigned target, enum scsi_operation operation, uint64_t block,
                  uint32_t blocks);

/* Describes the request in `d`, whose first entry has index `first` in its table. Returns the number of descriptors. */
unsigned scsi_describe(struct scsi_exchange *exchange, struct virtq_desc *d, uint16_t first, void *data,
                       uint32_t bytes, bool device_writes);

/* Whether the command succeeded. */
bool scsi_succeeded(const struct scsi_exchange *exchange);
