/* The user at the serial console. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { KEY_CTRL_C = 3 };

/* Waits for a key without burning CPU time. Here and in console_wait_ms the power button ends the machine. */
int console_wait(void);

/* Waits up to `ms` for a key; -1 when the time is over. */
int console_wait_ms(uint64_t ms);

/* For loops that run long: has Ctrl-C been typed? Looks at the port ten times a second at most; other keys
 * are kept for later. */
bool console_interrupted(void);

/* Reads a line with echo and backspace. */
void console_read_line(char *line, unsigned size);
