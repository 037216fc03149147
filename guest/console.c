#include "console.h"

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "interrupts.h"
#include "print.h"
#include "serial.h"

enum { KEY_BACKSPACE = 8, KEY_DELETE = 127, KEY_CTRL_U = 21, LOOK_EVERY_MS = 100 };

/* Keys typed while a command ran. */
static struct {
    uint8_t keys[256];
    uint8_t first, end; /* wrap around like the array */
} typed;

static int next_key(void)
{
    if (typed.first != typed.end)
        return typed.keys[typed.first++];
    return serial_poll();
}

static void enable_interrupts_once(void)
{
    static bool enabled;
    if (enabled)
        return;
    enabled = true;
    interrupts_start();
    serial_enable_interrupt();
    acpi_enable_power_button();
}

static void handle(uint32_t interrupts)
{
    if (interrupts & IRQ_SCI && acpi_power_button_pressed()) {
        print("\npower button\n");
        acpi_power_off();
    }
}

int console_wait(void)
{
    enable_interrupts_once();
    int key;
    while ((key = next_key()) < 0)
        handle(interrupts_wait(IRQ_SERIAL | IRQ_SCI));
    return key;
}

int console_wait_ms(uint64_t ms)
{
    enable_interrupts_once();
    uint64_t start = rdtsc(), length = ms_to_ticks(ms);
    for (;;) {
        int key = next_key();
        uint64_t gone = rdtsc() - start;
        if (key >= 0 || gone >= length)
            return key;
        handle(sleep_ms((length - gone) / tsc_khz() + 1, IRQ_SERIAL | IRQ_SCI));
    }
}

bool console_interrupted(void)
{
    static uint64_t last;
    if (rdtsc() - last < ms_to_ticks(LOOK_EVERY_MS))
        return false;
    last = rdtsc();
    int key;
    while ((key = serial_poll()) >= 0) {
        if (key == KEY_CTRL_C)
            return true;
        if ((uint8_t)(typed.end + 1) != typed.first)
            typed.keys[typed.end++] = (uint8_t)key;
    }
    return false;
}

void console_read_line(char *line, unsigned size)
{
    unsigned length = 0;
    for (;;) {
        int key = console_wait();
        if (key == '\r' || key == '\n') {
            print("\n");
            line[length] = 0;
            return;
        }
        if (key == KEY_CTRL_C) {
            print("^C\n");
            line[0] = 0;
            return;
        }
        if ((key == KEY_BACKSPACE || key == KEY_DELETE) && length) {
            length--;
            print("\b \b");
        } else if (key == KEY_CTRL_U) {
            for (; length; length--)
                print("\b \b");
        } else if (key >= ' ' && key < 127 && length < size - 1) {
            line[length++] = (char)key;
            print("%c", key);
        }
    }
}
