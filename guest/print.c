#include "print.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "serial.h"

enum { LINE = 256 };

struct line {
    char text[LINE];
    unsigned length;
};

static void flush(struct line *line)
{
    serial_write(line->text, line->length);
    line->length = 0;
}

static void put(struct line *line, char c)
{
    if (line->length >= LINE - 1)
        flush(line);
    if (c == '\n')
        line->text[line->length++] = '\r';
    line->text[line->length++] = c;
}

static void put_number(struct line *line, uint64_t value, unsigned base, unsigned width, char pad)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (; width > count; width--)
        put(line, pad);
    while (count)
        put(line, digits[--count]);
}

void print(const char *format, ...)
{
    struct line line = {.length = 0};
    va_list arguments;
    va_start(arguments, format);
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            put(&line, *p);
            continue;
        }
        p++;
        char pad = *p == '0' ? '0' : ' ';
        unsigned width = 0;
        for (; *p >= '0' && *p <= '9'; p++)
            width = width * 10 + (unsigned)(*p - '0');
        bool is_long = *p == 'l';
        if (is_long)
            p++;
        if (*p == 's') {
            for (const char *s = va_arg(arguments, const char *); *s; s++)
                put(&line, *s);
        } else if (*p == 'c') {
            put(&line, (char)va_arg(arguments, int));
        } else if (*p == 'd') {
            int value = va_arg(arguments, int);
            if (value < 0)
                put(&line, '-');
            put_number(&line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, width, pad);
        } else if (*p == 'u' || *p == 'x') {
            uint64_t value = is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            put_number(&line, value, *p == 'x' ? 16 : 10, width, pad);
        } else {
            put(&line, *p);
        }
    }
    va_end(arguments);
    flush(&line);
}
