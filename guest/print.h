/* Text output on the serial console. */
#pragma once

/* Conversions: %s, %c, %u %d (unsigned, int), %lu (64 bits), %x %lx, %%; a width pads on the left: %8u, %02x. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
