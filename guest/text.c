#include "text.h"

void *memcpy(void *to, const void *from, size_t size)
{
    void *result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memset(void *to, int byte, size_t size)
{
    void *result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;
    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t text_length(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

bool text_equal(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return *a == *b;
}

bool text_starts(const char *text, const char *prefix)
{
    for (; *prefix; text++, prefix++)
        if (*text != *prefix)
            return false;
    return true;
}

unsigned text_split(char *text, char **words, unsigned max)
{
    unsigned count = 0;
    while (count < max) {
        while (*text == ' ' || *text == '\t')
            text++;
        if (!*text)
            break;
        words[count++] = text;
        while (*text && *text != ' ' && *text != '\t')
            text++;
        if (*text)
            *text++ = 0;
    }
    return count;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return 16;
}

/* Parses digits; returns the rest of the text, or NULL if there are none or too many. */
static const char *parse_digits(const char *text, uint64_t *value)
{
    unsigned base = 10;
    if (text_starts(text, "0x")) {
        base = 16;
        text += 2;
    }
    const char *start = text;
    for (*value = 0; digit_value(*text) < (int)base; text++) {
        if (*value > (UINT64_MAX - base) / base)
            return NULL;
        *value = *value * base + (unsigned)digit_value(*text);
    }
    return text == start ? NULL : text;
}

bool parse_number(const char *text, uint64_t *value)
{
    const char *suffix = parse_digits(text, value);
    if (!suffix)
        return false;
    unsigned shift = *suffix == 'k' ? 10 : *suffix == 'm' ? 20 : *suffix == 'g' ? 30 : 0;
    if (shift)
        suffix++;
    if (*suffix || *value > UINT64_MAX >> shift)
        return false;
    *value <<= shift;
    return true;
}

bool parse_time_ms(const char *text, uint64_t *ms)
{
    uint64_t value;
    const char *suffix = parse_digits(text, &value);
    if (!suffix || value > 1000000000)
        return false;
    bool seconds = text_equal(suffix, "s");
    if (!seconds && !text_equal(suffix, "ms"))
        return false;
    *ms = seconds ? value * 1000 : value;
    return true;
}
