/* Latencies: count, mean, maximum, percentiles. */
#pragma once

#include <stdint.h>

/* Four buckets per power of two: percentiles are accurate to 25%. */
enum { STATS_BUCKETS = 64 * 4 };

struct stats {
    uint64_t count, sum, max;
    uint32_t buckets[STATS_BUCKETS];
};

void stats_add(struct stats *stats, uint64_t ticks);

/* The upper end of the bucket that holds the percentile, in TSC ticks, never above the maximum. */
uint64_t stats_percentile(const struct stats *stats, unsigned percent);
