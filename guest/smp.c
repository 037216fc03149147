#include "smp.h"

#include <stdbool.h>
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "interrupts.h"
#include "memory.h"
#include "segments.h"
#include "text.h"

/* Local APIC, Intel SDM volume 3, "The Local APIC Register Address Map" and "Interrupt Command Register (ICR)". */
#define LAPIC 0xfee00000
enum { LAPIC_ID = 0x20, ICR_LOW = 0x300, ICR_HIGH = 0x310 };
enum { ICR_INIT = 0x4500, ICR_STARTUP = 0x4600, ICR_PENDING = 1 << 12 };
enum { INIT_WAIT_MS = 10, STARTUP_WAIT_MS = 1, ONLINE_TIMEOUT_MS = 2000 };
enum { STACK_SIZE = 8192, TSS_AVAILABLE = 0x89 };
enum { ABSENT, ONLINE, RUNNING, DONE };

struct tss {
    uint32_t reserved;
    uint64_t rsp0;
    uint8_t rest[TSS_SIZE - 12];
} __attribute__((packed));

/* For trampoline.S: one CPU starts at a time. */
struct cpu *volatile ap_cpu;
uint64_t ap_stack, ap_ring0_stack;
uint32_t ap_tss_selector;

extern const char trampoline[], trampoline_end[];
extern uint64_t gdt[];
void ap_park(void);
void ap_main(struct cpu *cpu) __attribute__((noreturn));

static smp_job *volatile job;
static volatile uint64_t job_end;

uint32_t smp_own_apic_id(void) { return read32(LAPIC + LAPIC_ID) >> 24; }

unsigned smp_find(struct cpu *cpus)
{
    uint32_t ids[MAX_CPUS], own = smp_own_apic_id();
    unsigned found = acpi_cpus(ids, MAX_CPUS), count = 1;
    cpus[0] = (struct cpu){.apic_id = own};
    for (unsigned i = 0; i < found && i < MAX_CPUS && count < MAX_CPUS; i++)
        if (ids[i] != own)
            cpus[count++] = (struct cpu){.apic_id = ids[i]};
    return count;
}

/* Each CPU's stacks and TSS are allocated once and reused. */
static void prepare(unsigned index)
{
    static char *areas[MAX_CPUS];
    if (!areas[index])
        areas[index] = memory_alloc(2 * STACK_SIZE + sizeof(struct tss), 4096);
    ap_ring0_stack = (uint64_t)areas[index] + STACK_SIZE;
    ap_stack = ap_ring0_stack + STACK_SIZE;
    struct tss *tss = (struct tss *)ap_stack;
    tss->rsp0 = ap_ring0_stack;
    uint64_t base = (uint64_t)tss;
    ap_tss_selector = SEL_TSS + 16 * index;
    uint64_t *descriptor = &gdt[ap_tss_selector / 8]; /* Intel SDM volume 3, "TSS Descriptor in 64-bit mode" */
    descriptor[0] =
        (TSS_SIZE - 1) | (base & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    descriptor[1] = base >> 32;
}

static void send(uint32_t apic_id, uint32_t command)
{
    write32(LAPIC + ICR_HIGH, apic_id << 24);
    write32(LAPIC + ICR_LOW, command);
    while (read32(LAPIC + ICR_LOW) & ICR_PENDING)
        cpu_pause();
}

static bool wait_online(const struct cpu *cpu, uint64_t ms)
{
    uint64_t start = rdtsc(), length = ms_to_ticks(ms);
    while (cpu->state != ONLINE && rdtsc() - start < length)
        cpu_pause();
    return cpu->state == ONLINE;
}

const char *smp_start(struct cpu *cpus, unsigned index)
{
    struct cpu *cpu = &cpus[index];
    memcpy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
    prepare(index);
    cpu->state = ABSENT;
    ap_cpu = cpu;
    send(cpu->apic_id, ICR_INIT);
    sleep_ms(INIT_WAIT_MS, 0);
    cpu->start_ticks = rdtsc();
    send(cpu->apic_id, ICR_STARTUP | TRAMPOLINE >> 12);
    if (!wait_online(cpu, STARTUP_WAIT_MS)) /* once more, as in Intel's protocol */
        send(cpu->apic_id, ICR_STARTUP | TRAMPOLINE >> 12);
    return wait_online(cpu, ONLINE_TIMEOUT_MS) ? NULL : "did not start within 2 s";
}

void ap_main(struct cpu *cpu)
{
    cpu->start_ticks = rdtsc() - cpu->start_ticks;
    cpu->state = ONLINE;
    while (cpu->state == ONLINE)
        cpu_pause();
    cpu->iterations = job(job_end);
    cpu->state = DONE;
    for (;;)
        ring0_call(ap_park, 0, 0, 0);
}

void smp_run(struct cpu *cpus, unsigned count, smp_job *requested, uint64_t ticks)
{
    job = requested;
    job_end = rdtsc() + ticks;
    for (unsigned i = 1; i < count; i++)
        if (cpus[i].state == ONLINE)
            cpus[i].state = RUNNING;
    cpus[0].iterations = requested(job_end);
    for (unsigned i = 1; i < count; i++)
        while (cpus[i].state == RUNNING)
            cpu_pause();
}

uint64_t smp_compute(uint64_t until)
{
    uint64_t iterations = 0;
    do {
        for (unsigned i = 0; i < 1000; i++)
            compiler_barrier();
        iterations += 1000;
    } while (rdtsc() < until);
    return iterations;
}
