/* Strings and numbers from the user, and the memory functions that the compiler calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t text_length(const char *text);
bool text_equal(const char *a, const char *b);
bool text_starts(const char *text, const char *prefix);

/* Splits `text` at spaces, in place. Returns the number of words, at most `max`. */
unsigned text_split(char *text, char **words, unsigned max);

/* "4096", "0x1000", "4k", "1m": a number. False if it is not one, or too large. */
bool parse_number(const char *text, uint64_t *value);

/* "5s", "200ms": a time, in milliseconds. False for anything else, including a plain number; *ms is then unchanged. */
bool parse_time_ms(const char *text, uint64_t *ms);
