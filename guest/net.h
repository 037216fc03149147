/* virtio-net (virtio 1.3 §5.1): sends and receives frames, polling. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { NET_MAX_FRAME = 65536, NET_ADDRESS = 6 };

struct net_mode {
    unsigned card; /* the n-th virtio-net device */
    bool indirect; /* frames to send are in tables outside of the ring */
};

/* What the device is to complete, or divide (§5.1.6.2). All zero: nothing. */
struct net_offload {
    uint16_t checksum_start, checksum_offset; /* with an offset other than 0 */
    uint16_t segment_bytes;                   /* of TCP over IPv4; 0: the frame is not divided */
};

struct net_counts {
    uint64_t sent, received, kicks;
};

extern uint8_t net_address[NET_ADDRESS];

/* Initializes the device, unless it is in use in that mode. NULL, or an error. */
const char *net_open(struct net_mode mode);

/* The link is up; true for a device that does not say. */
bool net_link(void);

/* Room for a frame to send, or NULL: none now. */
uint8_t *net_buffer(void);

/* Sends the frame that is in the last buffer. The device sees it at the next net_flush. */
void net_send(uint32_t length, struct net_offload offload);
void net_flush(void);

/* Returns the buffers of frames that are sent. False while some are not. */
bool net_all_sent(void);

/* The next frame that was received, valid until the next call, or NULL. */
const uint8_t *net_receive(uint32_t *length);

struct net_counts net_counts(void);

/* The device needs a reset. */
bool net_broken(void);

/* The sum of the Internet checksum, in ones' complement (RFC 1071). */
uint16_t net_sum(const uint8_t *bytes, uint32_t length);
