/* The command "cpus": CPUs that come and go while the machine runs, by QEMU's registers (docs/specs/acpi_cpu_hotplug.rst
 * of QEMU), as the AML of a machine's ACPI tables uses them. */

#include <stdbool.h>
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "interrupts.h"
#include "print.h"
#include "random.h"
#include "segments.h"
#include "smp.h"
#include "text.h"

enum { PORT = 0xcd8, SELECTOR = PORT, FLAGS = PORT + 4, COMMAND = PORT + 5, DATA = PORT + 8 };
enum { ENABLED = 1, INSERTING = 2, REMOVING = 4, EJECT = 8 };
enum { NEXT_WITH_EVENT = 0, OST_EVENT = 1, OST_STATUS = 2, GET_ID = 3 };
enum { GPE_CPU_HOTPLUG = 2 };
/* _OST, ACPI 6.5 §6.3.5. */
enum { DEVICE_CHECK = 1, EJECT_REQUEST = 3, SUCCESS = 0, BUSY = 0x82, IN_PROGRESS = 0x84 };

static uint8_t flags_of(unsigned cpu)
{
    out32(SELECTOR, cpu);
    return in8(FLAGS);
}

static void report(unsigned cpu, uint32_t event, uint32_t status)
{
    out32(SELECTOR, cpu);
    out8(COMMAND, OST_EVENT);
    out32(DATA, event);
    out8(COMMAND, OST_STATUS);
    out32(DATA, status);
}

static void print_present(const char *what)
{
    uint64_t present = 0;
    for (unsigned i = 0; i < 64; i++)
        if (flags_of(i) & ENABLED)
            present |= 1ull << i;
    print("result cpus %s present=%lx\n", what, present);
}

/* Answers events for some time, or until Ctrl-C. */
static void answer(bool refuse, uint64_t ms)
{
    unsigned added = 0, released = 0, refused = 0;
    for (uint64_t end = rdtsc() + ms_to_ticks(ms); rdtsc() < end && !console_interrupted();) {
        out32(SELECTOR, 0);
        out8(COMMAND, NEXT_WITH_EVENT);
        unsigned cpu = in32(DATA);
        uint8_t flags = in8(FLAGS);
        if (flags & INSERTING) {
            out8(FLAGS, INSERTING);
            report(cpu, DEVICE_CHECK, SUCCESS);
            added++;
        } else if (flags & REMOVING) {
            out8(FLAGS, REMOVING);
            report(cpu, EJECT_REQUEST, refuse ? BUSY : IN_PROGRESS);
            if (!refuse)
                out8(FLAGS, EJECT);
            *(refuse ? &refused : &released) += 1;
        }
    }
    print("result cpus answer added=%u released=%u refused=%u\n", added, released, refused);
}

/* Starts all present CPUs, which compute. */
static void run(uint64_t ms)
{
    static struct cpu cpus[MAX_CPUS];
    uint64_t busy = 0;
    unsigned found = 1;
    memset(cpus, 0, sizeof cpus);
    cpus[0].apic_id = smp_own_apic_id();
    for (unsigned i = 1; i < 64 && found < MAX_CPUS; i++) {
        if (!(flags_of(i) & ENABLED))
            continue;
        out8(COMMAND, GET_ID);
        cpus[found++].apic_id = in32(DATA);
    }
    for (unsigned i = 1; i < found; i++) {
        const char *error = smp_start(cpus, i);
        if (error)
            print("  APIC ID %u: %s\n", cpus[i].apic_id, error);
    }
    smp_run(cpus, found, smp_compute, ms_to_ticks(ms));
    for (unsigned i = 0; i < found; i++)
        if (cpus[i].iterations)
            busy |= 1ull << cpus[i].apic_id;
    print("result cpus run present=%u busy=%lx\n", found, busy);
}

/* Random accesses to the registers, identical for the same seed. Most select a CPU that may exist. */
static void rubbish(uint64_t state)
{
    for (unsigned i = 0; i < 2000; i++) {
        uint16_t port = (uint16_t)(PORT + random_below(&state, 12));
        uint32_t value = random_below(&state, 4) ? (uint32_t)random_below(&state, 16) : (uint32_t)random_next(&state);
        switch (random_below(&state, 5)) {
        case 0:
            in32(port);
            break;
        case 1:
            in8(port);
            break;
        case 2:
            out8(port, (uint8_t)value);
            break;
        case 3:
            out16(port, (uint16_t)value);
            break;
        default:
            out32(random_below(&state, 2) ? SELECTOR : port, value);
        }
    }
    print_present("rubbish");
}

const char *command_cpus(unsigned count, char **words)
{
    uint64_t value = 0;
    const char *what = count > 1 ? words[1] : "";
    if (count == 2 && text_equal(what, "show"))
        print_present("show");
    else if (count == 2 && text_equal(what, "enable")) {
        acpi_enable_event(GPE_CPU_HOTPLUG);
        print_present("enable");
    } else if (count == 3 && (text_equal(what, "answer") || text_equal(what, "refuse")) &&
               parse_time_ms(words[2], &value))
        answer(text_equal(what, "refuse"), value);
    else if (count == 3 && text_equal(what, "run") && parse_time_ms(words[2], &value))
        run(value);
    else if (count == 3 && text_equal(what, "rubbish") && parse_number(words[2], &value))
        rubbish(value + 1);
    else if (count == 3 && text_equal(what, "eject") && parse_number(words[2], &value)) {
        out32(SELECTOR, (uint32_t)value);
        out8(FLAGS, EJECT);
        print_present("eject");
    } else
        return "usage: cpus show | enable | answer TIME | refuse TIME | run TIME | eject N | rubbish SEED";
    return NULL;
}
