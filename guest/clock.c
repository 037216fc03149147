#include "clock.h"

#include "cpu.h"
#include "interrupts.h"

/* Intel 8254 data sheet. Channel 0 raises IRQ 0. */
enum { PIT_CHANNEL0 = 0x40, PIT_CONTROL = 0x43 };
enum { PIT_HZ = 1193182, PIT_MAX_MS = 50 };
/* Mode 0 or 2, the count as low byte and high byte. */
enum { CHANNEL0_LATCH = 0x00, CHANNEL0_ONE_SHOT = 0x30, CHANNEL0_PERIODIC = 0x34 };

enum { CALIBRATION_MS = 20, SAMPLES = 5 };

/* Leaf 0x15: TSC = crystal * ebx / eax (Intel SDM volume 2, CPUID, leaf 15H). */
static uint64_t khz_from_cpu(void)
{
    if (cpuid(0).eax < 0x15)
        return 0;
    struct cpuid r = cpuid(0x15);
    return r.eax && r.ebx && r.ecx ? (uint64_t)r.ecx * r.ebx / r.eax / 1000 : 0;
}

/* Leaf 0x40000010, which several hypervisors provide: eax = TSC frequency in kHz. */
static uint64_t khz_from_hypervisor(void)
{
    if (!(cpuid(1).ecx & 1u << 31) || cpuid(0x40000000).eax < 0x40000010)
        return 0;
    return cpuid(0x40000010).eax;
}

/* The count of channel 0 and the TSC at the same moment: the best of several tries, the one with the least time between
 * the two TSC reads. */
static uint16_t read_pit(uint64_t *tsc)
{
    uint64_t shortest = UINT64_MAX;
    uint16_t count = 0;
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t before = rdtsc();
        out8(PIT_CONTROL, CHANNEL0_LATCH);
        uint64_t after = rdtsc();
        uint8_t low = in8(PIT_CHANNEL0);
        uint16_t now = (uint16_t)(low | in8(PIT_CHANNEL0) << 8);
        if (after - before >= shortest)
            continue;
        shortest = after - before;
        *tsc = before + shortest / 2;
        count = now;
    }
    return count;
}

static uint64_t khz_from_pit(void)
{
    uint64_t start_tsc, end_tsc;
    out8(PIT_CONTROL, CHANNEL0_ONE_SHOT);
    out8(PIT_CHANNEL0, 0xff);
    out8(PIT_CHANNEL0, 0xff);
    uint16_t start = read_pit(&start_tsc), end = start;
    while (start - end < PIT_HZ / 1000 * CALIBRATION_MS)
        end = read_pit(&end_tsc);
    clock_stop_ticks();
    return (end_tsc - start_tsc) * PIT_HZ / (start - end) / 1000;
}

uint64_t tsc_khz(void)
{
    static uint64_t khz;
    if (!khz)
        khz = khz_from_cpu();
    if (!khz)
        khz = khz_from_hypervisor();
    if (!khz)
        khz = khz_from_pit();
    return khz;
}

/* In two steps, so that large values don't overflow. */
uint64_t ticks_to_ns(uint64_t ticks)
{
    uint64_t khz = tsc_khz();
    return ticks / khz * 1000000 + ticks % khz * 1000000 / khz;
}

uint64_t ms_to_ticks(uint64_t ms) { return ms * tsc_khz(); }

uint32_t sleep_ms(uint64_t ms, uint32_t wake)
{
    for (; ms; ms -= ms < PIT_MAX_MS ? ms : PIT_MAX_MS) {
        unsigned count = (unsigned)((ms < PIT_MAX_MS ? ms : PIT_MAX_MS) * PIT_HZ / 1000);
        out8(PIT_CONTROL, CHANNEL0_ONE_SHOT);
        interrupts_clear(IRQ_TIMER);
        out8(PIT_CHANNEL0, (uint8_t)count);
        out8(PIT_CHANNEL0, (uint8_t)(count >> 8));
        uint32_t arrived = interrupts_wait(wake | IRQ_TIMER);
        if (arrived & wake)
            return arrived & wake;
    }
    return 0;
}

void clock_start_ticks(void)
{
    out8(PIT_CONTROL, CHANNEL0_PERIODIC);
    out8(PIT_CHANNEL0, 0); /* 0 counts 65,536 */
    out8(PIT_CHANNEL0, 0);
}

void clock_stop_ticks(void)
{
    out8(PIT_CONTROL, CHANNEL0_ONE_SHOT); /* does not count before a count is written */
    interrupts_clear(IRQ_TIMER);
}
