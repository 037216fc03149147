/* Commands that do I/O: blk, rng. */

#include <stddef.h>

#include "blk.h"
#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "print.h"
#include "random.h"
#include "rng.h"
#include "text.h"

enum { VERIFY_BLOCK = 4096, VERIFY_DEPTH = 16, MAX_STEP = 1000, RNG_MAX = 4096 };
enum { SOAK_MIN = 16, SOAK_MORE = 48, SOAK_REPORT = 16 };

struct random_places {
    uint64_t state, blocks;
    bool sequential;
};

static uint64_t random_place(void *context, uint64_t sequence)
{
    struct random_places *places = context;
    return places->sequential ? sequence % places->blocks : random_below(&places->state, places->blocks);
}

static uint64_t ticks_to_us(uint64_t ticks) { return ticks_to_ns(ticks) / 1000; }

static void report(const struct blk_job *job, const struct blk_result *r)
{
    uint64_t us = ticks_to_us(r->ticks) + 1;
    uint64_t iops = r->done * 1000000 / us;
    uint64_t tenth_mbs = r->done * job->block_bytes * 10 / us;
    uint64_t mean = r->done ? ticks_to_us(r->latency.sum / r->done) : 0;
    uint64_t p99 = ticks_to_us(stats_percentile(&r->latency, 99)), max = ticks_to_us(r->latency.max);
    const char *what = job->write ? "write" : "read";
    print("%lu %ss of %lu bytes, depth %u: %lu IOPS, %lu.%lu MB/s, latency mean %lu us, p99 %lu us, max %lu us\n",
          r->done, what, job->block_bytes, job->depth, iops, tenth_mbs / 10, tenth_mbs % 10, mean, p99, max);
    print("result blk-%s size=%lu depth=%u requests=%lu us=%lu iops=%lu mbs=%lu.%lu mean_us=%lu p99_us=%lu max_us=%lu "
          "kicks=%lu errors=%lu\n",
          what, job->block_bytes, job->depth, r->done, us, iops, tenth_mbs / 10, tenth_mbs % 10, mean, p99, max,
          r->kicks, r->errors);
}

/* Parses the following options; false if one is unknown. */
static bool parse_options(unsigned count, char **words, struct blk_job *job, bool *sequential)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t disk;
        if (text_equal(words[i], "seq") && sequential)
            *sequential = true;
        else if (text_equal(words[i], "irq"))
            job->interrupts = true;
        else if (text_equal(words[i], "indirect"))
            job->indirect = true;
        else if (text_starts(words[i], "disk=") && parse_number(words[i] + 5, &disk))
            job->disk = (unsigned)disk;
        else if (text_starts(words[i], "scsi=") && parse_number(words[i] + 5, &disk))
            job->disk = BLK_FIRST_SCSI + (unsigned)disk;
        else
            return false;
    }
    return true;
}

static const char *transfer(bool write, unsigned count, char **words)
{
    static struct blk_result result; /* too large for the stack */
    struct random_places places = {.state = rdtsc()};
    struct blk_job job = {.write = write, .count = UINT64_MAX, .place = random_place, .context = &places};
    uint64_t depth;
    if (count < 5 || !parse_number(words[2], &job.block_bytes) || !parse_number(words[3], &depth) ||
        !(parse_time_ms(words[4], &job.ms) || parse_number(words[4], &job.count)) ||
        !parse_options(count - 5, words + 5, &job, &places.sequential))
        return "usage: blk read|write SIZE DEPTH TIME|COUNT [seq] [irq] [indirect] [disk=N|scsi=N], as in \"blk read 4k 32 5s\"";
    if (job.block_bytes == 0 || job.block_bytes % BLK_SECTOR || job.block_bytes > BLK_MAX_BLOCK)
        return "the size must be a multiple of 512, at most 1m";
    if (depth == 0 || depth > BLK_MAX_DEPTH)
        return "the depth must be 1 to 256";
    job.depth = (unsigned)depth;
    places.blocks = blk_blocks(job.disk, job.block_bytes);
    if (places.blocks == 0)
        return "no such disk, or it is smaller than a block";
    const char *error = blk_run(&job, &result);
    if (!error)
        report(&job, &result);
    return error;
}

/* The blocks that verify uses, and their contents: both depend on the seed. */
struct pattern {
    uint64_t seed, first, step, blocks, bad;
    uint64_t last, backwards; /* the TSC at the last call, and how often it was less than the one before */
};

static void pattern_tick(struct pattern *p)
{
    uint64_t now = rdtsc();
    p->backwards += now < p->last;
    p->last = now;
}

static uint64_t pattern_place(void *context, uint64_t sequence)
{
    struct pattern *p = context;
    return (p->first + p->step * sequence) % p->blocks;
}

static uint64_t pattern_state(const struct pattern *p, uint64_t sequence) { return p->seed ^ sequence << 32; }

static void pattern_fill(void *context, uint64_t sequence, void *buffer)
{
    uint64_t state = pattern_state(context, sequence), *words = buffer;
    pattern_tick(context);
    for (unsigned i = 0; i < VERIFY_BLOCK / sizeof *words; i++)
        words[i] = random_next(&state);
}

static void pattern_check(void *context, uint64_t sequence, void *buffer)
{
    struct pattern *p = context;
    uint64_t state = pattern_state(p, sequence), *words = buffer, different = 0;
    pattern_tick(p);
    for (unsigned i = 0; i < VERIFY_BLOCK / sizeof *words; i++)
        different |= words[i] ^ random_next(&state);
    p->bad += different != 0;
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Writes the job's blocks with a new pattern, and reads them back. */
static const char *write_and_check(struct blk_job *job, struct pattern *pattern, struct blk_result *written,
                                   struct blk_result *read)
{
    uint64_t state = pattern->seed = rdtsc();
    pattern->first = random_below(&state, pattern->blocks);
    do /* a step coprime to the number of blocks visits each block once */
        pattern->step = random_below(&state, MAX_STEP) + 1;
    while (greatest_common_divisor(pattern->step, pattern->blocks) != 1);
    job->write = true;
    job->visit = pattern_fill;
    const char *error = blk_run(job, written);
    if (!error)
        error = blk_flush(job->disk);
    if (error)
        return error;
    job->write = false;
    job->visit = pattern_check;
    return blk_run(job, read);
}

static struct blk_job pattern_job(struct pattern *pattern)
{
    return (struct blk_job){
        .block_bytes = VERIFY_BLOCK, .depth = VERIFY_DEPTH, .place = pattern_place, .context = pattern};
}

static const char *verify(unsigned count, char **words)
{
    static struct blk_result written, read;
    struct pattern pattern = {0};
    struct blk_job job = pattern_job(&pattern);
    if (count < 3 || !parse_number(words[2], &job.count) || !parse_options(count - 3, words + 3, &job, NULL))
        return "usage: blk verify N [irq] [indirect] [disk=N|scsi=N]";
    pattern.blocks = blk_blocks(job.disk, VERIFY_BLOCK);
    if (pattern.blocks < job.count)
        return "no such disk, or it has fewer blocks than that";
    const char *error = write_and_check(&job, &pattern, &written, &read);
    if (error)
        return error;
    uint64_t failed = written.errors + read.errors;
    print("%lu blocks written, %lu read back: %lu differ, %lu requests failed\n", written.done, read.done, pattern.bad,
          failed);
    print("result blk-verify blocks=%lu bad=%lu errors=%lu complete=%u\n", read.done, pattern.bad, failed,
          read.done == job.count && !failed && !pattern.bad);
    return NULL;
}

/* Rounds of `verify`, each done in a different way, until they are done or Ctrl-C ends them. */
static const char *soak(unsigned count, char **words)
{
    static struct blk_result written, read;
    struct pattern pattern = {0};
    struct blk_job job = pattern_job(&pattern);
    uint64_t rounds = UINT64_MAX, done = 0, blocks = 0, bad = 0, failed = 0, state = rdtsc();
    unsigned options = count > 2 && parse_number(words[2], &rounds) ? 3 : 2;
    if (!parse_options(count - options, words + options, &job, NULL))
        return "usage: blk soak [ROUNDS] [disk=N|scsi=N]";
    pattern.blocks = blk_blocks(job.disk, VERIFY_BLOCK);
    if (pattern.blocks < SOAK_MIN + SOAK_MORE)
        return "no such disk, or it has fewer than 64 blocks";
    bool interrupted = false;
    while (done < rounds && !interrupted) {
        job.count = SOAK_MIN + random_below(&state, SOAK_MORE);
        job.interrupts = random_below(&state, 2);
        job.indirect = random_below(&state, 2);
        const char *error = write_and_check(&job, &pattern, &written, &read);
        if (error)
            return error;
        interrupted = written.interrupted || read.interrupted;
        if (!interrupted && written.done + read.done != 2 * job.count)
            return "requests were lost";
        if (!interrupted) /* else blocks that were never written have been read */
            bad = pattern.bad;
        done++;
        blocks += read.done;
        failed += written.errors + read.errors;
        if (done % SOAK_REPORT == 0)
            print("  %lu rounds\n", done);
    }
    print("result blk-soak rounds=%lu blocks=%lu bad=%lu errors=%lu backwards=%lu\n", done, blocks, bad, failed,
          pattern.backwards);
    return NULL;
}

const char *command_blk(unsigned count, char **words)
{
    const char *what = count > 1 ? words[1] : "";
    if (text_equal(what, "read") || text_equal(what, "write"))
        return transfer(*what == 'w', count, words);
    if (text_equal(what, "verify"))
        return verify(count, words);
    if (text_equal(what, "soak"))
        return soak(count, words);
    struct blk_job job = {0};
    if (!text_equal(what, "flush") || !parse_options(count - 2, words + 2, &job, NULL))
        return "usage: \"blk read\", \"blk write\", \"blk verify\", \"blk soak\" or \"blk flush\"";
    uint64_t start = rdtsc();
    const char *error = blk_flush(job.disk);
    if (!error)
        print("result blk-flush us=%lu\n", ticks_to_us(rdtsc() - start));
    return error;
}

const char *command_rng(unsigned count, char **words)
{
    static uint8_t bytes[RNG_MAX];
    uint64_t size;
    if (count != 2 || !parse_number(words[1], &size) || size == 0 || size > RNG_MAX)
        return "give a number of bytes from 1 to 4096, as in \"rng 64\"";
    uint64_t start = rdtsc();
    const char *error = rng_read(bytes, (uint32_t)size);
    if (error)
        return error;
    uint64_t us = ticks_to_us(rdtsc() - start);
    for (uint64_t i = 0; i < size; i++)
        print("%02x%s", bytes[i], i % 32 == 31 || i + 1 == size ? "\n" : "");
    print("result rng bytes=%lu us=%lu\n", size, us);
    return NULL;
}
