/* The net command: frames of an experimental EtherType between guests, or a guest and its host. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "net.h"
#include "print.h"
#include "text.h"

/* An Ethernet header with the experimental EtherType (IEEE 802), zeros in place of an IP header, before which Linux
 * completes no checksum, then the kind of frame, a sum, a number, and bytes derived from it. The sum is RFC 1071's over
 * everything from itself on. */
enum { TYPE_HIGH = 0x88, TYPE_LOW = 0xb5, IP = 14, KIND = 34, SUM = 36, NUMBER = 38, PATTERN = 42 };
enum { REQUEST = 1, REPLY = 2, STREAM = 3 };
enum { MIN_FRAME = 60, REPLY_MS = 5000, BATCH = 32 };

struct options {
    struct net_mode mode;
    uint64_t size;
    bool checksum; /* the device completes the sum */
    bool repeat;   /* `send` does not change frames, so the device's speed counts, not the guest's */
};

static void print_address(const uint8_t *address)
{
    for (unsigned i = 0; i < NET_ADDRESS; i++) {
        const char *digits = "0123456789abcdef";
        char byte[] = {digits[address[i] >> 4], digits[address[i] & 15], 0};
        print("%s%s", i ? ":" : "", byte);
    }
}

static bool parse_options(unsigned count, char **words, struct options *o)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t card;
        if (text_equal(words[i], "csum"))
            o->checksum = true;
        else if (text_equal(words[i], "repeat"))
            o->repeat = true;
        else if (text_equal(words[i], "indirect"))
            o->mode.indirect = true;
        else if (text_starts(words[i], "card=") && parse_number(words[i] + 5, &card))
            o->mode.card = (unsigned)card;
        else if (!parse_number(words[i], &o->size) || o->size < MIN_FRAME || o->size > NET_MAX_FRAME - 2048)
            return false;
    }
    return true;
}

static void fill(uint8_t *frame, const uint8_t *to, uint8_t kind, uint32_t number, const struct options *o)
{
    uint32_t length = (uint32_t)o->size;
    memcpy(frame, to, NET_ADDRESS);
    memcpy(frame + NET_ADDRESS, net_address, NET_ADDRESS);
    frame[12] = TYPE_HIGH, frame[13] = TYPE_LOW;
    memset(frame + IP, 0, KIND - IP);
    frame[KIND] = kind, frame[KIND + 1] = 0, frame[SUM] = 0, frame[SUM + 1] = 0;
    memcpy(frame + NUMBER, &number, sizeof number);
    for (uint32_t i = PATTERN; i < length; i++)
        frame[i] = (uint8_t)(number + i);
    if (o->checksum) {
        frame[KIND] = 0;
        frame[NUMBER + 3] = kind;
    } else {
        uint16_t sum = (uint16_t)~net_sum(frame + SUM, length - SUM);
        frame[SUM] = (uint8_t)(sum >> 8), frame[SUM + 1] = (uint8_t)sum;
    }
}

static void send_filled(const struct options *o)
{
    /* An offset of 0 would mean that there is nothing to complete, so the sum starts two bytes earlier; they are 0. */
    struct net_offload offload = {.checksum_start = KIND, .checksum_offset = SUM - KIND};
    net_send((uint32_t)o->size, o->checksum ? offload : (struct net_offload){0});
}

/* Sends a frame to `to`; false if the queue is full. */
static bool send(const uint8_t *to, uint8_t kind, uint32_t number, const struct options *o)
{
    uint8_t *frame = net_buffer((uint32_t)o->size);
    if (!frame)
        return false;
    fill(frame, to, kind, number, o);
    send_filled(o);
    return true;
}

/* The kind of an intact frame of this command; 0 for other frames. */
static uint8_t check(const uint8_t *frame, uint32_t length, uint32_t *number, uint64_t *bad)
{
    if (length < MIN_FRAME || frame[12] != TYPE_HIGH || frame[13] != TYPE_LOW)
        return 0;
    memcpy(number, frame + NUMBER, sizeof *number);
    uint8_t kind = frame[KIND] ? frame[KIND] : frame[NUMBER + 3];
    bool whole = net_sum(frame + KIND + 2, length - KIND - 2) == 0xffff;
    if (!frame[KIND])
        *number &= 0xffffff;
    for (uint32_t i = PATTERN; whole && i < length; i++)
        whole = frame[i] == (uint8_t)(*number + i);
    *bad += !whole;
    return kind;
}

/* Answers requests for the given time. */
static const char *echo(uint64_t ms)
{
    struct options o = {0};
    uint64_t begin = rdtsc(), limit = ms_to_ticks(ms), answered = 0, bad = 0, turns = 0;
    while (rdtsc() - begin < limit && !(++turns % 4096 == 0 && console_interrupted())) {
        uint32_t length, number;
        const uint8_t *frame = net_receive(&length);
        if (!frame || check(frame, length, &number, &bad) != REQUEST)
            continue;
        o.size = length;
        answered += send(frame + NET_ADDRESS, REPLY, number, &o);
        net_flush();
    }
    print("result net-echo answered=%lu bad=%lu\n", answered, bad);
    return NULL;
}

/* Broadcasts requests one at a time, and waits for the replies. */
static const char *ping(uint64_t count, const struct options *o)
{
    static const uint8_t everybody[NET_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint64_t lost = 0, bad = 0, ticks = 0;
    for (uint32_t number = 1; number <= count && !console_interrupted(); number++) {
        uint64_t begin = rdtsc(), limit = ms_to_ticks(REPLY_MS);
        while (!send(everybody, REQUEST, number, o))
            if (rdtsc() - begin > limit || net_broken())
                return net_broken() ? "the device needs a reset" : "the device does not send";
        net_flush();
        uint32_t length, replied = 0;
        bool answered = false;
        while (!answered && rdtsc() - begin < limit) {
            const uint8_t *frame = net_receive(&length);
            answered = frame && check(frame, length, &replied, &bad) == REPLY && replied == number;
            if (answered && length != o->size)
                bad++;
        }
        lost += !answered;
        ticks += rdtsc() - begin;
        if (lost > 3)
            break;
    }
    print("result net-ping count=%lu size=%lu lost=%lu bad=%lu mean_us=%lu\n", count, o->size, lost, bad,
          ticks_to_ns(ticks) / 1000 / (count ? count : 1));
    return NULL;
}

/* Sends the same frame as before, when it is in all buffers; false if the queue is full. */
static bool send_again(const struct options *o)
{
    if (!net_buffer((uint32_t)o->size))
        return false;
    send_filled(o);
    return true;
}

/* Sends as many frames as it can. */
static const char *stream(uint64_t count, uint64_t ms, const struct options *o)
{
    static const uint8_t everybody[NET_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint64_t begin = rdtsc(), limit = ms ? ms_to_ticks(ms) : UINT64_MAX, waits = 0;
    uint32_t number = 0;
    while (number < count && rdtsc() - begin < limit) {
        bool again = o->repeat && number >= NET_SEND_BUFFERS;
        bool sent = again ? send_again(o) : send(everybody, STREAM, o->repeat ? 0 : number, o);
        number += sent;
        if (!sent || number % BATCH == 0)
            net_flush();
        if (!sent && ++waits % 65536 == 0 && (console_interrupted() || net_broken()))
            break;
    }
    net_flush();
    while (!net_all_sent() && rdtsc() - begin < limit + ms_to_ticks(REPLY_MS))
        cpu_pause();
    uint64_t us = ticks_to_ns(rdtsc() - begin) / 1000 + 1;
    print("result net-send frames=%u size=%lu us=%lu pps=%lu mbit=%lu kicks=%lu\n", number, o->size, us,
          (uint64_t)number * 1000000 / us, number * o->size * 8 / us, net_counts().kicks);
    return NULL;
}

/* Counts received frames until there are enough or the time is over. */
static const char *receive(uint64_t count, uint64_t ms, const struct options *o)
{
    uint64_t begin = rdtsc(), limit = ms ? ms_to_ticks(ms) : UINT64_MAX, first = 0, last = 0;
    uint64_t frames = 0, bytes = 0, bad = 0, disordered = 0, turns = 0;
    uint32_t next = 0;
    while (frames < count && rdtsc() - begin < limit && !(++turns % 65536 == 0 && console_interrupted())) {
        uint32_t length, number;
        const uint8_t *frame = net_receive(&length);
        if (!frame || check(frame, length, &number, &bad) != STREAM)
            continue;
        last = rdtsc();
        first = first ? first : last;
        disordered += number < next;
        next = number + 1;
        frames++;
        bytes += length;
    }
    (void)o;
    uint64_t us = ticks_to_ns(last - first) / 1000 + 1;
    print("result net-receive frames=%lu us=%lu pps=%lu mbit=%lu bad=%lu disordered=%lu\n", frames, us,
          frames * 1000000 / us, bytes * 8 / us, bad, disordered);
    return NULL;
}

const char *command_net(unsigned count, char **words)
{
    struct options o = {.size = 1500};
    uint64_t number = UINT64_MAX, ms = 0;
    bool info = count >= 2 && text_equal(words[1], "info");
    unsigned from = info ? 2 : 3;
    bool timed = count >= 3 && (parse_time_ms(words[2], &ms) || parse_number(words[2], &number));
    if (count < from || (!info && !timed) || !parse_options(count - from, words + from, &o))
        return "usage: net info | ping N | send|receive|echo TIME|N [SIZE] [csum] [indirect] [repeat] [card=N]";
    const char *error = net_open(o.mode);
    if (error)
        return error;
    if (info) {
        print("result net-info mac=");
        print_address(net_address);
        print(" link=%s\n", net_link() ? "up" : "down");
        return NULL;
    }
    if (text_equal(words[1], "ping"))
        return ping(number, &o);
    if (text_equal(words[1], "send"))
        return stream(number, ms, &o);
    if (text_equal(words[1], "receive"))
        return receive(number, ms, &o);
    if (text_equal(words[1], "echo"))
        return echo(ms ? ms : UINT64_MAX / 2);
    return "there is no such kind of net command: \"net info\", ping, send, receive, echo";
}
