/* Commands about the machine as a whole: info, halt, reboot, exit, crash. */

#include <stddef.h>

#include "acpi.h"
#include "boot.h"
#include "clock.h"
#include "commands.h"
#include "cpu.h"
#include "interrupts.h"
#include "print.h"
#include "segments.h"
#include "text.h"
#include "virtio.h"

enum { PORT_RESET = 0xcf9, RESET_HARD = 0x06, PORT_DEBUG_EXIT = 0xf4 };
enum { END_MS = 1000 }; /* how long the machine may take to stop */
enum { CONFIG_BLK_CAPACITY = 0 };

static void print_device(const struct virtio_device *d)
{
    print("  %02x:%02x.%u virtio-%s", d->pci.bus, d->pci.slot, d->pci.function, virtio_type_name(d->type));
    if (d->unusable)
        print(": %s", d->unusable);
    else if (d->type == VIRTIO_BLOCK)
        print(" %lu MiB", virtio_config64(d, CONFIG_BLK_CAPACITY) >> 11);
    print("\n");
}

void print_machine(void)
{
    uint32_t ids[MAX_CPUS];
    unsigned cpus = acpi_cpus(ids, MAX_CPUS);
    print("%lu MiB memory, %u vCPU%s, %u PCI functions, started by %s\n", (boot.memory_bytes + 0xfffff) >> 20, cpus,
          cpus == 1 ? "" : "s", pci_function_count, boot.loader);
    for (unsigned i = 0; i < virtio_device_count; i++)
        print_device(&virtio_devices[i]);
}

const char *command_info(unsigned count, char **words)
{
    (void)count, (void)words;
    const char *ecam = pci_check_ecam();
    print_machine();
    print("  TSC %lu kHz\n  PCI Express configuration space: %s\n  command line: %s\n", tsc_khz(), ecam,
          boot.command_line);
    print("result info memory=%lu tsc_khz=%lu pci=%u virtio=%u ecam=%s\n", boot.memory_bytes, tsc_khz(),
          pci_function_count, virtio_device_count, ecam);
    return NULL;
}

const char *command_halt(unsigned count, char **words)
{
    (void)count, (void)words;
    acpi_power_off();
    sleep_ms(END_MS, 0);
    return "the machine did not power off";
}

const char *command_reboot(unsigned count, char **words)
{
    (void)count, (void)words;
    out8(PORT_RESET, RESET_HARD);
    sleep_ms(END_MS, 0);
    return "the machine did not reset";
}

const char *command_exit(unsigned count, char **words)
{
    uint64_t code;
    if (count != 2 || !parse_number(words[1], &code))
        return "give a code, as in \"exit 3\"";
    out32(PORT_DEBUG_EXIT, (uint32_t)code);
    sleep_ms(END_MS, 0);
    return "there is no debug exit port";
}

/* With an empty IDT an exception can't be delivered, and neither can the double fault that follows. */
static uint64_t crash_in_ring0(uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    static const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } empty = {0, 0};
    asm volatile("lidt %0; ud2" : : "m"(empty));
    return 0;
}

const char *command_crash(unsigned count, char **words)
{
    (void)count, (void)words;
    ring0_call(crash_in_ring0, 0, 0, 0);
    return "still alive";
}
