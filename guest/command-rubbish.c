/* rubbish: sub-commands and their arguments. */

#include <stddef.h>

#include "commands.h"
#include "rubbish.h"
#include "text.h"

enum { DEFAULT_SEED = 1, DEFAULT_COUNT = 2000 };

const char *command_rubbish(unsigned count, char **words)
{
    static const char usage[] = "usage: rubbish ring | rubbish regs|ports [SEED [COUNT]]";
    uint64_t seed = DEFAULT_SEED, accesses = DEFAULT_COUNT;
    if (count < 2 || count > 4 || (count > 2 && !parse_number(words[2], &seed)) ||
        (count > 3 && !parse_number(words[3], &accesses)))
        return usage;
    if (text_equal(words[1], "ring") && count == 2)
        return rubbish_ring();
    if (text_equal(words[1], "regs"))
        return rubbish_registers(seed, accesses);
    if (text_equal(words[1], "ports"))
        return rubbish_ports(seed, accesses);
    return usage;
}
