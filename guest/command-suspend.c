/* The command "suspend": ACPI S3, and what woke the guest up. */

#include <stdbool.h>
#include <stddef.h>

#include "acpi.h"
#include "blk.h"
#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "interrupts.h"
#include "print.h"
#include "segments.h"
#include "serial.h"
#include "text.h"
#include "virtio.h"

/* Motorola MC146818A data sheet: registers and bits. */
enum { PORT_RTC = 0x70, RTC_SECONDS = 0, RTC_SECONDS_ALARM = 1, RTC_MINUTES_ALARM = 3, RTC_HOURS_ALARM = 5, RTC_B = 11 };
enum { RTC_C = 12, ALARM_ENABLE = 0x20, ALARM_ANY = 0xff, MINUTE = 60 };
enum { END_MS = 1000 }; /* how long the machine may take to stop */

extern const char wake_trampoline[], wake_trampoline_end[];
bool suspend_save(void) __attribute__((returns_twice));

static uint8_t rtc_read(uint8_t index)
{
    out8(PORT_RTC, index);
    return in8(PORT_RTC + 1);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    out8(PORT_RTC, index);
    out8(PORT_RTC + 1, value);
}

static void set_alarm(uint64_t seconds)
{
    uint8_t bcd = rtc_read(RTC_SECONDS);
    unsigned at = (unsigned)((bcd >> 4) * 10 + (bcd & 15) + seconds) % MINUTE;
    rtc_write(RTC_SECONDS_ALARM, (uint8_t)(at / 10 << 4 | at % 10));
    rtc_write(RTC_MINUTES_ALARM, ALARM_ANY);
    rtc_write(RTC_HOURS_ALARM, ALARM_ANY);
    rtc_read(RTC_C);
    rtc_write(RTC_B, rtc_read(RTC_B) | ALARM_ENABLE);
}

/* The devices have been reset: their drivers start over. */
static void restart_devices(void)
{
    serial_init();
    serial_enable_interrupt();
    for (unsigned i = 0; i < virtio_device_count; i++)
        pci_write16(&virtio_devices[i].pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
    for (unsigned i = 0; i < BLK_MAX_DISKS; i++)
        blk_forget(i);
}

const char *command_suspend(unsigned count, char **words)
{
    static volatile uint32_t kept;
    uint64_t seconds = 0;
    if (count > 2 || (count == 2 && (!parse_number(words[1], &seconds) || seconds == 0 || seconds >= MINUTE)))
        return "give the seconds after which the clock is to wake the machine up, 1 to 59, or nothing";
    kept = 0x5eed5eed;
    memcpy((void *)TRAMPOLINE, wake_trampoline, (size_t)(wake_trampoline_end - wake_trampoline));
    if (!suspend_save()) {
        if (seconds)
            set_alarm(seconds);
        acpi_suspend(TRAMPOLINE, seconds != 0);
        sleep_ms(END_MS, 0);
        return "the machine does not sleep";
    }
    interrupts_restart();
    restart_devices();
    print("result suspend status=%x memory=%s\n", acpi_wake_status(), kept == 0x5eed5eed ? "kept" : "lost");
    return NULL;
}
