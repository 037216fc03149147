/* The memory command: writes memory again and again, and checks what it wrote before. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "text.h"

enum { PAGE = 4096, WORDS = PAGE / 8, PAGES_PER_CHECK = 64 };

/* What a word of a page has after a round: odd factors, so that no two are the same. */
static uint64_t pattern(uint64_t round, uint64_t index)
{
    return round * 0x9e3779b97f4a7c15ull + index * 0xd1342543de82ef95ull;
}

/* The words of a page that are not as the round before left them. Writes those of this round. */
static uint64_t rewrite(uint64_t *page, uint64_t first, uint64_t round)
{
    uint64_t bad = 0;
    for (uint64_t i = 0; i < WORDS; i++) {
        bad += round > 1 && page[i] != pattern(round - 1, first + i);
        page[i] = pattern(round, first + i);
    }
    return bad;
}

const char *command_memory(unsigned count, char **words)
{
    uint64_t bytes, limit = 0, room;
    if (count < 2 || count > 3 || !parse_number(words[1], &bytes) || bytes < PAGE ||
        (count == 3 && (!parse_number(words[2], &limit) || limit == 0)))
        return "usage: memory SIZE [ROUNDS]";
    uint64_t *start = memory_scratch(&room);
    if (bytes > room)
        return "there is not that much memory";
    uint64_t pages = bytes / PAGE, round = 0, done = 0, bad = 0, began = rdtsc();
    while (!console_interrupted() && (limit == 0 || round < limit)) {
        round++;
        for (uint64_t page = 0; page < pages; page++, done++) {
            bad += rewrite(start + page * WORDS, page * WORDS, round);
            /* The rest of a round that is interrupted is as the round before left it. */
            if (page % PAGES_PER_CHECK == 0 && limit == 0 && console_interrupted()) {
                done++;
                goto ended;
            }
        }
    }
ended:;
    uint64_t ms = ticks_to_ns(rdtsc() - began) / 1000000;
    print("%lu pages written in %lu ms, %lu words were wrong\n", done, ms, bad);
    print("result memory pages=%lu rounds=%lu bad=%lu ms=%lu\n", done, round, bad, ms);
    return NULL;
}
