/* The gateway command: echo requests (RFC 792) to the gateway of a user-mode network, which answers them itself. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "net.h"
#include "print.h"
#include "text.h"

/* Ethernet, then ARP (RFC 826), or IP (RFC 791) and ICMP. */
enum { TYPE = 12, ARP = 14, ARP_OPERATION = 20, ARP_TARGET = 38, ARP_FRAME = 60 };
enum { IP = 14, IP_BYTES = 20, IP_LENGTH = 16, IP_ID = 18, IP_TTL = 22, IP_PROTOCOL = 23, IP_SUM = 24, IP_SOURCE = 26 };
enum { ICMP = IP + IP_BYTES, ICMP_SUM = ICMP + 2, ICMP_NUMBER = ICMP + 6, PATTERN = ICMP + 8 };
enum { ECHO_REPLY = 0, ECHO_REQUEST = 8, MIN_SIZE = 60, MAX_SIZE = 1514, REPLY_MS = 5000 };
/* Requests awaiting replies; after LOST_MS they count as lost. */
enum { WINDOW = 64, LOST_MS = 100 };

static const uint8_t us[4] = {10, 0, 2, 15}, gateway[4] = {10, 0, 2, 2};
static const uint8_t everybody[NET_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static uint8_t gateway_address[NET_ADDRESS];

static void put16(uint8_t *at, uint16_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }

static void ethernet(uint8_t *frame, const uint8_t *to, uint16_t type)
{
    memcpy(frame, to, NET_ADDRESS);
    memcpy(frame + NET_ADDRESS, net_address, NET_ADDRESS);
    put16(frame + TYPE, type);
}

/* Asks for the gateway's address, which also tells it ours. */
static bool find_gateway(void)
{
    static const uint8_t ethernet_for_ip[] = {0, 1, 8, 0, NET_ADDRESS, sizeof us};
    uint8_t *frame = net_buffer(ARP_FRAME);
    if (!frame)
        return false;
    memset(frame, 0, ARP_FRAME);
    ethernet(frame, everybody, 0x0806);
    memcpy(frame + ARP, ethernet_for_ip, sizeof ethernet_for_ip);
    put16(frame + ARP_OPERATION, 1);
    memcpy(frame + ARP_OPERATION + 2, net_address, NET_ADDRESS);
    memcpy(frame + ARP_OPERATION + 2 + NET_ADDRESS, us, sizeof us);
    memcpy(frame + ARP_TARGET, gateway, sizeof gateway);
    net_send(ARP_FRAME, (struct net_offload){0});
    net_flush();
    for (uint64_t begin = rdtsc(); rdtsc() - begin < ms_to_ticks(REPLY_MS);) {
        uint32_t length;
        const uint8_t *reply = net_receive(&length);
        if (!reply || length < ARP_TARGET || reply[TYPE + 1] != 6 || reply[ARP_OPERATION + 1] != 2)
            continue;
        memcpy(gateway_address, reply + ARP_OPERATION + 2, NET_ADDRESS);
        return true;
    }
    return false;
}

/* False if the queue is full. */
static bool request(uint32_t number, uint32_t size)
{
    uint8_t *frame = net_buffer(size);
    if (!frame)
        return false;
    memset(frame, 0, PATTERN);
    ethernet(frame, gateway_address, 0x0800);
    frame[IP] = 0x45;
    put16(frame + IP_LENGTH, (uint16_t)(size - IP));
    put16(frame + IP_ID, (uint16_t)number);
    frame[IP_TTL] = 64, frame[IP_PROTOCOL] = 1;
    memcpy(frame + IP_SOURCE, us, sizeof us);
    memcpy(frame + IP_SOURCE + sizeof us, gateway, sizeof gateway);
    put16(frame + IP_SUM, (uint16_t)~net_sum(frame + IP, IP_BYTES));
    frame[ICMP] = ECHO_REQUEST;
    put16(frame + ICMP_NUMBER, (uint16_t)number);
    for (uint32_t i = PATTERN; i < size; i++)
        frame[i] = (uint8_t)(number + i);
    put16(frame + ICMP_SUM, (uint16_t)~net_sum(frame + ICMP, size - ICMP));
    net_send(size, (struct net_offload){0});
    return true;
}

/* Whether a frame is a reply; a reply with a different size or a wrong sum counts as bad. */
static bool is_reply(const uint8_t *frame, uint32_t length, uint32_t size, uint64_t *bad)
{
    if (length < MIN_SIZE || frame[TYPE] != 8 || frame[TYPE + 1] != 0 || frame[IP_PROTOCOL] != 1 || frame[ICMP] != ECHO_REPLY)
        return false;
    *bad += length != size || net_sum(frame + ICMP, length - ICMP) != 0xffff;
    return true;
}

const char *command_gateway(unsigned count, char **words)
{
    uint64_t ms, size = 1500, sent = 0, replies = 0, lost = 0, bad = 0;
    if (count < 2 || !parse_time_ms(words[1], &ms) || (count > 2 && !parse_number(words[2], &size)) || size < MIN_SIZE ||
        size > MAX_SIZE)
        return "usage: gateway TIME [SIZE]";
    const char *error = net_open((struct net_mode){0});
    if (error)
        return error;
    if (!find_gateway())
        return "10.0.2.2 does not answer";
    uint64_t begin = rdtsc(), limit = ms_to_ticks(ms), heard = begin, now = begin, waiting = 0;
    for (; now - begin < limit && !net_broken() && !console_interrupted(); now = rdtsc()) {
        uint64_t before = sent;
        while (waiting < WINDOW && request((uint32_t)sent, (uint32_t)size))
            sent++, waiting++;
        if (sent != before)
            net_flush();
        uint32_t length;
        for (unsigned turns = 0; turns < 1024; turns++) {
            const uint8_t *frame = net_receive(&length);
            if (!frame || !is_reply(frame, length, (uint32_t)size, &bad))
                continue;
            replies++;
            waiting -= waiting > 0;
            heard = rdtsc();
            if (waiting <= WINDOW / 2)
                break;
        }
        if (waiting == WINDOW && rdtsc() - heard > ms_to_ticks(LOST_MS)) {
            lost += waiting;
            waiting = 0, heard = rdtsc();
        }
    }
    uint64_t took = ticks_to_ns(now - begin) / 1000 + 1;
    print("result gateway replies=%lu size=%lu us=%lu pps=%lu mbit=%lu lost=%lu bad=%lu\n", replies, size, took,
          replies * 1000000 / took, replies * size * 8 / took, lost, bad);
    return NULL;
}
