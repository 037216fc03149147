/* serial, echo: a serial port other than the console's. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "print.h"
#include "text.h"

enum { REG_DATA = 0, REG_LINE_STATUS = 5, STATUS_READY = 0x01, STATUS_EMPTY = 0x20, ABSENT = 0xff };
enum { LINE_MAX = 80, WAIT_MS = 60000 };

/* Reads up to a line feed or carriage return. False if none arrives within a minute. */
static bool read_line(uint16_t port, char *line, unsigned size)
{
    uint64_t start = rdtsc(), limit = ms_to_ticks(WAIT_MS);
    for (unsigned length = 0; rdtsc() - start < limit;) {
        if (!(in8(port + REG_LINE_STATUS) & STATUS_READY)) {
            sleep_ms(1, 0);
            continue;
        }
        char c = in8(port + REG_DATA);
        if (c == '\n' || c == '\r') {
            line[length] = 0;
            return true;
        }
        if (length + 1 < size)
            line[length++] = c;
    }
    return false;
}

static void write_byte(uint16_t port, uint8_t byte)
{
    while (!(in8(port + REG_LINE_STATUS) & STATUS_EMPTY))
        cpu_pause();
    out8(port + REG_DATA, byte);
}

static const char *parse_port(const char *word, uint64_t *port)
{
    if (!parse_number(word, port) || *port > 0xfff8)
        return "PORT is the first of 8 ports";
    return in8(*port + REG_LINE_STATUS) == ABSENT ? "there is no serial port" : NULL;
}

const char *command_serial(unsigned count, char **words)
{
    uint64_t port;
    char line[LINE_MAX];
    if (count != 3)
        return "usage: serial PORT WORD";
    const char *error = parse_port(words[1], &port);
    if (error)
        return error;
    for (const char *c = words[2]; *c; c++)
        write_byte(port, *c);
    if (!read_line(port, line, sizeof line))
        return "nothing was typed";
    print("result serial line=%s\n", line);
    return NULL;
}

/* Ends early if nothing arrives for a minute. */
const char *command_echo(unsigned count, char **words)
{
    uint64_t port, wanted, done = 0;
    if (count != 3 || !parse_number(words[2], &wanted))
        return "usage: echo PORT N";
    const char *error = parse_port(words[1], &port);
    if (error)
        return error;
    uint64_t limit = ms_to_ticks(WAIT_MS);
    for (uint64_t since = rdtsc(); done < wanted && rdtsc() - since < limit;) {
        if (!(in8(port + REG_LINE_STATUS) & STATUS_READY)) {
            sleep_ms(1, 0);
            continue;
        }
        write_byte(port, in8(port + REG_DATA));
        done++;
        since = rdtsc();
    }
    print("result echo bytes=%u\n", (unsigned)done);
    return NULL;
}
