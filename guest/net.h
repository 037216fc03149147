/* virtio-net (virtio 1.3 §5.1): sends and receives frames, polling. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { NET_MAX_FRAME = 65536, NET_ADDRESS = 6, NET_SEND_BUFFERS = 128 };

struct net_mode {
    unsigned card; /* the n-th virtio-net device */
    bool indirect; /* frames to send use tables outside the ring */
};

/* What the device must complete or segment (§5.1.6.2). All zero for nothing. */
struct net_offload {
    uint16_t checksum_start, checksum_offset; /* with a nonzero offset */
    uint16_t segment_bytes;                   /* for TCP over IPv4; 0 for no segmentation */
};

struct net_counts {
    uint64_t sent, received, kicks;
};

extern uint8_t net_address[NET_ADDRESS];

/* Initializes the device, unless it is already in use in that mode. Returns NULL or an error. */
const char *net_open(struct net_mode mode);

/* Whether the link is up; true for a device that does not report it. */
bool net_link(void);

/* A buffer for a frame of `length` bytes to send, or NULL if all that are large enough are in use. When none is in use,
 * the first NET_SEND_BUFFERS calls that are each followed by net_send return every buffer of that size. */
uint8_t *net_buffer(uint32_t length);

/* Sends the frame in the last buffer. The device sees it at the next net_flush. */
void net_send(uint32_t length, struct net_offload offload);
void net_flush(void);

/* Reclaims the buffers of sent frames. Returns false while some are outstanding. */
bool net_all_sent(void);

/* The next received frame, valid until the next call, or NULL. */
const uint8_t *net_receive(uint32_t *length);

struct net_counts net_counts(void);

/* Whether the device needs a reset. */
bool net_broken(void);

/* The sum of the Internet checksum, in ones' complement (RFC 1071). */
uint16_t net_sum(const uint8_t *bytes, uint32_t length);
