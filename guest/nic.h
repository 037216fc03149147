/* Network cards of PCs: an 82540EM (e1000), an 82574L (e1000e) and an RTL8139, which send and receive frames, polling. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { NIC_MAX_FRAME = 1514 };

struct nic_counts {
    uint64_t accesses; /* register accesses, each of which is an exit */
};

/* Initializes the first supported card. Returns NULL or an error. */
const char *nic_open(void);

/* `e1000`, `e1000e` or `rtl8139`. */
const char *nic_model(void);

/* Sends the same frame again, of at most NIC_MAX_FRAME bytes. False if the queue is full. The card may see it at the
 * next nic_flush. */
bool nic_send(const uint8_t *frame, uint32_t length);
void nic_flush(void);
bool nic_all_sent(void);

/* Drops the next received frame. @returns its length, including its check sequence; 0 if there is none */
uint32_t nic_receive(void);

struct nic_counts nic_counts(void);
