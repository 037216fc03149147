/* Commands that measure the CPU side: exits, spin, smp. */

#include <stddef.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "cpu.h"
#include "interrupts.h"
#include "print.h"
#include "segments.h"
#include "smp.h"
#include "text.h"
#include "virtio.h"

enum { PORT_POST_CODE = 0x80, MAX_EXITS = 100000000, CHUNK = 10000 };

static uint64_t port_writes(uint64_t n, uint64_t port, uint64_t unused)
{
    (void)unused;
    asm volatile("1: outb %%al, %%dx; dec %0; jnz 1b" : "+c"(n) : "a"(0), "d"(port) : "memory");
    return 0;
}

static uint64_t port_reads(uint64_t n, uint64_t port, uint64_t unused)
{
    (void)unused;
    asm volatile("1: inb %%dx, %%al; dec %0; jnz 1b" : "+c"(n) : "d"(port) : "rax", "memory");
    return 0;
}

static uint64_t register_reads(uint64_t n, uint64_t address, uint64_t unused)
{
    (void)unused;
    asm volatile("1: movl (%1), %%eax; dec %0; jnz 1b" : "+c"(n) : "r"(address) : "rax", "memory");
    return 0;
}

typedef uint64_t exits_routine(uint64_t n, uint64_t where, uint64_t unused);

/* Nanoseconds per exit; in steps, to check for Ctrl-C. */
static uint64_t measure(exits_routine *routine, uint64_t n, uint64_t where, bool ring3)
{
    uint64_t ticks = 0, done = 0;
    while (done < n && !console_interrupted()) {
        uint64_t step = n - done < CHUNK ? n - done : CHUNK;
        uint64_t start = rdtsc();
        if (ring3)
            routine(step, where, 0);
        else
            ring0_call(routine, step, where, 0);
        ticks += rdtsc() - start;
        done += step;
    }
    return done ? ticks_to_ns(ticks) / done : 0;
}

void exits_mixture(unsigned n)
{
    ring0_call(port_writes, n, PORT_POST_CODE, 0);
    if (virtio_device_count && !virtio_devices[0].unusable)
        ring0_call(register_reads, n, virtio_devices[0].common, 0);
}

const char *command_exits(unsigned count, char **words)
{
    uint64_t n;
    bool ring3 = count == 4 && text_equal(words[3], "ring3");
    if (count != (ring3 ? 4 : 3) || !parse_number(words[2], &n) || n == 0 || n > MAX_EXITS)
        return "usage: exits io|mmio N [ring3], N up to 100,000,000";
    unsigned ring = ring3 ? 3 : 0;
    if (text_equal(words[1], "io")) {
        uint64_t write_ns = measure(port_writes, n, PORT_POST_CODE, ring3);
        uint64_t read_ns = measure(port_reads, n, PORT_POST_CODE, ring3);
        print("port 0x80 from ring %u: %lu ns a write, %lu ns a read\n", ring, write_ns, read_ns);
        print("result exits-io count=%lu ring=%u write_ns=%lu read_ns=%lu\n", n, ring, write_ns, read_ns);
        return NULL;
    }
    if (!text_equal(words[1], "mmio"))
        return "usage: exits io|mmio N [ring3]";
    const struct virtio_device *device = virtio_device_count ? &virtio_devices[0] : NULL;
    if (!device || device->unusable)
        return "no virtio device with registers in memory";
    uint64_t read_ns = measure(register_reads, n, device->common, ring3);
    print("virtio-%s register from ring %u: %lu ns a read\n", virtio_type_name(device->type), ring, read_ns);
    print("result exits-mmio count=%lu ring=%u read_ns=%lu\n", n, ring, read_ns);
    return NULL;
}

const char *command_spin(unsigned count, char **words)
{
    uint64_t ms;
    if (count != 2 || !parse_time_ms(words[1], &ms))
        return "give a time, as in \"spin 1s\"";
    uint64_t iterations = 0, start = rdtsc(), ticks = 0;
    while ((ticks = rdtsc() - start) < ms_to_ticks(ms) && !console_interrupted()) {
        for (unsigned i = 0; i < CHUNK; i++)
            compiler_barrier();
        iterations += CHUNK;
    }
    uint64_t ns = ticks_to_ns(ticks);
    uint64_t per_second = iterations * 1000 / (ns / 1000000 + 1);
    print("%lu iterations in %lu ms\n", iterations, ns / 1000000);
    print("result spin iterations=%lu ns=%lu per_second=%lu\n", iterations, ns, per_second);
    return NULL;
}

static uint64_t exit_until(uint64_t end)
{
    uint64_t exits = 0;
    for (; rdtsc() < end; exits += 100)
        port_writes(100, PORT_POST_CODE, 0);
    return exits;
}

const char *command_smp(unsigned count, char **words)
{
    static struct cpu cpus[MAX_CPUS];
    uint64_t ms = 100, iterations = 0;
    bool exits = count == 3 && text_equal(words[2], "exits");
    if (count > (exits ? 3 : 2) || (count >= 2 && !parse_time_ms(words[1], &ms)))
        return "usage: smp [TIME [exits]]";
    unsigned found = smp_find(cpus), online = 1;
    for (unsigned i = 1; i < found; i++) {
        const char *error = smp_start(cpus, i);
        if (error)
            print("  CPU %u, APIC ID %u: %s\n", i, cpus[i].apic_id, error);
        else
            online++;
    }
    smp_run(cpus, found, exits ? exit_until : smp_compute, ms_to_ticks(ms));
    for (unsigned i = 0; i < found; i++) {
        if (cpus[i].iterations)
            print("  CPU %u, APIC ID %u: started in %lu us, %lu %s\n", i, cpus[i].apic_id,
                  ticks_to_ns(cpus[i].start_ticks) / 1000, cpus[i].iterations, exits ? "exits" : "iterations");
        iterations += cpus[i].iterations;
    }
    print("result smp cpus=%u online=%u iterations=%lu ms=%lu\n", found, online, iterations, ms);
    return NULL;
}
