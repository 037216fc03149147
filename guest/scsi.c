#include "scsi.h"

/* SPC-4, SBC-4. */
enum { TEST_UNIT_READY = 0x00, SYNCHRONIZE_CACHE = 0x35, READ_16 = 0x88, WRITE_16 = 0x8a, SERVICE_ACTION_IN = 0x9e };
enum { ACTION_READ_CAPACITY = 0x10, CAPACITY_BYTES = 32, STATUS_UNSET = 0xff };

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    while (bytes--)
        *at++ = (uint8_t)(value >> 8 * bytes);
}

void scsi_prepare(struct scsi_exchange *e, unsigned target, enum scsi_operation operation, uint64_t block,
                  uint32_t blocks)
{
    *e = (struct scsi_exchange){0};
    e->outcome.response = STATUS_UNSET;
    e->command.lun[0] = 1;
    e->command.lun[1] = (uint8_t)target;
    e->command.lun[2] = 0x40; /* flat space addressing */
    uint8_t *cdb = e->command.cdb;
    switch (operation) {
    case SCSI_TEST_READY:
        cdb[0] = TEST_UNIT_READY;
        break;
    case SCSI_FLUSH:
        cdb[0] = SYNCHRONIZE_CACHE;
        break;
    case SCSI_READ_CAPACITY:
        cdb[0] = SERVICE_ACTION_IN;
        cdb[1] = ACTION_READ_CAPACITY;
        put(cdb + 10, CAPACITY_BYTES, 4);
        break;
    case SCSI_READ:
    case SCSI_WRITE:
        cdb[0] = operation == SCSI_READ ? READ_16 : WRITE_16;
        put(cdb + 2, block, 8);
        put(cdb + 10, blocks, 4);
        break;
    }
}

unsigned scsi_describe(struct scsi_exchange *e, struct virtq_desc *d, uint16_t first, void *data, uint32_t bytes,
                       bool device_writes)
{
    struct virtq_desc command = {(uint64_t)&e->command, sizeof e->command, 0, 0};
    struct virtq_desc outcome = {(uint64_t)&e->outcome, sizeof e->outcome, VIRTQ_DESC_WRITE, 0};
    struct virtq_desc buffer = {(uint64_t)data, bytes, device_writes ? VIRTQ_DESC_WRITE : 0, 0};
    unsigned count = 0;
    d[count++] = command;
    if (bytes && !device_writes)
        d[count++] = buffer;
    d[count++] = outcome;
    if (bytes && device_writes)
        d[count++] = buffer;
    for (unsigned i = 0; i + 1 < count; i++) {
        d[i].flags |= VIRTQ_DESC_NEXT;
        d[i].next = (uint16_t)(first + i + 1);
    }
    return count;
}

bool scsi_succeeded(const struct scsi_exchange *e) { return e->outcome.response == 0 && e->outcome.status == 0; }
