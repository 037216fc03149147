/* The user at the serial console. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { KEY_CTRL_C = 3 };

/* Waits for a key without burning CPU time. Here and in console_wait_ms, the power button powers the machine off. */
int console_wait(void);

/* Waits up to `ms` for a key; -1 on timeout. */
int console_wait_ms(uint64_t ms);

/* For long-running loops: whether Ctrl-C was typed. Checks the port at most ten times a second; keeps other keys for
 * later. */
bool console_interrupted(void);

/* Reads a line with echo and backspace. */
void console_read_line(char *line, unsigned size);
