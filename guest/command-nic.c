/* The nic command: how many frames a PC network card sends and receives, and what they cost. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "memory.h"
#include "nic.h"
#include "print.h"
#include "text.h"

enum { MIN_FRAME = 60, ADDRESS = 6, EXPERIMENTS = 0x88b5, REPLY_MS = 5000 };

static void report(const char *what, uint64_t frames, uint64_t ticks)
{
    uint64_t us = ticks_to_ns(ticks) / 1000 + 1, accesses = nic_counts().accesses;
    print("result nic-%s frames=%lu us=%lu pps=%lu accesses=%lu per_1000=%lu\n", what, frames, us,
          frames * 1000000 / us, accesses, accesses * 1000 / (frames ? frames : 1));
}

/* Sends as many frames as it can, and notifies the card after each `batch` of them. */
static const char *stream(uint64_t ms, uint32_t size, uint64_t batch)
{
    static uint8_t frame[NIC_MAX_FRAME] __attribute__((aligned(64)));
    memset(frame, 0xff, ADDRESS);
    frame[ADDRESS] = 0x52;
    frame[12] = EXPERIMENTS >> 8, frame[13] = EXPERIMENTS & 0xff;
    uint64_t begin = rdtsc(), limit = ms_to_ticks(ms), frames = 0;
    while (rdtsc() - begin < limit) {
        bool sent = nic_send(frame, size);
        frames += sent;
        if (!sent || frames % batch == 0)
            nic_flush();
    }
    nic_flush();
    while (!nic_all_sent() && rdtsc() - begin < limit + ms_to_ticks(REPLY_MS))
        cpu_pause();
    report("send", frames, rdtsc() - begin);
    return NULL;
}

/* Counts received frames, from the first frame to the end: a card that stops receiving gets a low rate, not that of its
 * last burst. */
static const char *receive(uint64_t ms)
{
    uint64_t begin = rdtsc(), limit = ms_to_ticks(ms), first = begin, frames = 0;
    while (rdtsc() - begin < limit) {
        if (nic_receive() == 0)
            continue;
        first = frames ? first : rdtsc();
        frames++;
    }
    report("receive", frames, rdtsc() - first);
    return NULL;
}

const char *command_nic(unsigned count, char **words)
{
    uint64_t ms, size = MIN_FRAME, batch = 1;
    bool valid = count >= 3 && parse_time_ms(words[2], &ms);
    for (unsigned i = 3; valid && i < count; i++)
        if (text_starts(words[i], "batch="))
            valid = parse_number(words[i] + 6, &batch) && batch > 0;
        else
            valid = parse_number(words[i], &size) && size >= MIN_FRAME && size <= NIC_MAX_FRAME;
    if (!valid)
        return "usage: nic send|receive TIME [SIZE] [batch=N]";
    const char *error = nic_open();
    if (error)
        return error;
    if (text_equal(words[1], "send"))
        return stream(ms, (uint32_t)size, batch);
    if (text_equal(words[1], "receive"))
        return receive(ms);
    return "there is no such kind of nic command: send, receive";
}
