/* demo: a modest load on everything, to watch. */

#include <stddef.h>

#include "blk.h"
#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "print.h"
#include "random.h"
#include "rng.h"
#include "text.h"
#include "virtio.h"

enum {
    DEFAULT_PERIOD_MS = 500,
    REPORT_MS = 5000,
    BLOCK = 4096,
    BATCH = 8,
    MAX_BATCHES = 12,
    RNG_BYTES = 64,
    EXITS = 20
};

struct totals {
    uint64_t rounds, read, written, failed, random_bytes;
};

struct places {
    uint64_t seed, blocks;
};

/* The same seed gives the same positions, so data is written back where it was read. */
static uint64_t place(void *context, uint64_t sequence)
{
    const struct places *p = context;
    uint64_t state = p->seed + sequence;
    return random_below(&state, p->blocks);
}

/* Reads a batch of random blocks, and writes it back unchanged if `write`. */
static const char *batch(struct places *places, bool write, struct totals *totals)
{
    static struct blk_result result;
    struct blk_job job = {
        .interrupts = true, .block_bytes = BLOCK, .depth = BATCH, .count = BATCH, .place = place, .context = places};
    const char *error = blk_run(&job, &result);
    totals->read += result.done - result.errors;
    totals->failed += result.errors;
    if (error || !write || result.errors)
        return error;
    job.write = true; /* request n uses the buffer of the read's request n */
    error = blk_run(&job, &result);
    totals->written += result.done - result.errors;
    totals->failed += result.errors;
    return error;
}

static const char *round(uint64_t *random, struct totals *totals)
{
    static uint8_t bytes[RNG_BYTES];
    totals->rounds++;
    struct places places = {.blocks = blk_blocks(0, BLOCK)};
    uint64_t batches = places.blocks ? 1 + random_below(random, MAX_BATCHES) : 0;
    for (uint64_t i = 0; i < batches; i++) {
        places.seed = random_next(random);
        const char *error = batch(&places, i % 3 == 0, totals);
        if (error)
            return error;
    }
    if (virtio_get(VIRTIO_ENTROPY, 0)) {
        const char *error = rng_read(bytes, sizeof bytes);
        if (error)
            return error;
        totals->random_bytes += sizeof bytes;
    }
    exits_mixture(1 + (unsigned)random_below(random, EXITS));
    return NULL;
}

const char *command_demo(unsigned count, char **words)
{
    uint64_t period = DEFAULT_PERIOD_MS, random = rdtsc();
    if (count > 2 || (count == 2 && !parse_time_ms(words[1], &period)))
        return "usage: demo [TIME], as in \"demo 500ms\"";
    struct totals totals = {0};
    uint64_t reported = rdtsc();
    print("Disk reads (some written back unchanged), random bytes and exits every %lu ms; a key ends it.\n", period);
    do {
        const char *error = round(&random, &totals);
        if (error)
            return error;
        if (rdtsc() - reported >= ms_to_ticks(REPORT_MS)) {
            reported = rdtsc();
            print("  %lu rounds: %lu blocks read, %lu written, %lu random bytes\n", totals.rounds, totals.read,
                  totals.written, totals.random_bytes);
        }
    } while (console_wait_ms(period) < 0);
    print("result demo rounds=%lu read=%lu written=%lu errors=%lu random=%lu\n", totals.rounds, totals.read,
          totals.written, totals.failed, totals.random_bytes);
    return NULL;
}

const char *command_flood(unsigned count, char **words)
{
    (void)words;
    if (count > 1)
        return "usage: flood";
    for (uint64_t line = 0; !console_interrupted(); line++)
        print("flood %lu .......................................................\n", line);
    return NULL;
}
