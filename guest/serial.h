/* COM1: a 16550A, registers as in its data sheet. */
#pragma once

#include <stdbool.h>

void serial_init(void);
void serial_write(const char *text, unsigned length);

/* The next received character, or -1 if there is none. */
int serial_poll(void);

/* Makes the receiver raise IRQ 4. */
void serial_enable_interrupt(void);
