#include "stats.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < 4)
        return (unsigned)value;
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    return top * 4 + (value >> (top - 2) & 3);
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 4)
        return bucket;
    unsigned top = bucket / 4;
    return ((5 + (uint64_t)bucket % 4) << (top - 2)) - 1;
}

void stats_add(struct stats *stats, uint64_t ticks)
{
    stats->count++;
    stats->sum += ticks;
    if (ticks > stats->max)
        stats->max = ticks;
    stats->buckets[bucket_of(ticks)]++;
}

uint64_t stats_percentile(const struct stats *stats, unsigned percent)
{
    uint64_t wanted = (stats->count * percent + 99) / 100, seen = 0;
    for (unsigned i = 0; i < STATS_BUCKETS; i++) {
        seen += stats->buckets[i];
        if (seen >= wanted)
            return bucket_end(i) < stats->max ? bucket_end(i) : stats->max;
    }
    return stats->max;
}
