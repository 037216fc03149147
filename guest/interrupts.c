#include "interrupts.h"

#include "cpu.h"
#include "print.h"
#include "segments.h"

enum { PIC_MASTER = 0x20, PIC_SLAVE = 0xa0, PIC_EDGE_LEVEL = 0x4d0, IRQ_CASCADE = 1 << 2 };
enum { LAPIC = 0xfee00000, LAPIC_SPURIOUS = 0xf0, LAPIC_ENABLE = 1 << 8, LAPIC_LVT_LINT0 = 0x350, LVT_EXTINT = 0x700 };

/* Intel SDM volume 3, "64-Bit Mode IDT". */
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
enum { INTERRUPT_GATE = 0x8e00, FOR_RING3 = 3 << 13 };

struct exception_frame {
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern struct gate idt[256];
extern const uint64_t exception_handlers[32];
void ring0_gate(void);
void wait_for_interrupt(void);
void irq0(void);
void irq4(void);
void irq9(void);
void msi_handler(void);
void spurious_handler(void);
void exception_report(const struct exception_frame *frame, uint64_t cr2); /* called by gates.S */

volatile uint32_t interrupts_pending;

static void set_gate(unsigned vector, uint64_t handler, uint16_t extra)
{
    idt[vector] = (struct gate){
        .offset_low = (uint16_t)handler,
        .selector = SEL_CODE64,
        .attributes = (uint16_t)(INTERRUPT_GATE | extra),
        .offset_middle = (uint16_t)(handler >> 16),
        .offset_high = (uint32_t)(handler >> 32),
    };
}

void interrupts_init(void)
{
    for (unsigned i = 0; i < 32; i++)
        set_gate(i, exception_handlers[i], 0);
    set_gate(VECTOR_PIC + 0, (uint64_t)irq0, 0);
    set_gate(VECTOR_PIC + 4, (uint64_t)irq4, 0);
    set_gate(VECTOR_PIC + 7, (uint64_t)spurious_handler, 0);
    set_gate(VECTOR_PIC + 9, (uint64_t)irq9, 0);
    set_gate(VECTOR_PIC + 15, (uint64_t)spurious_handler, 0);
    set_gate(VECTOR_MSI, (uint64_t)msi_handler, 0);
    set_gate(VECTOR_SPURIOUS, (uint64_t)spurious_handler, 0);
    set_gate(VECTOR_RING0_GATE, (uint64_t)ring0_gate, FOR_RING3);
}

/* Initializes both 8259s (data sheet: ICW1-ICW4), with the timer, COM1 and SCI unmasked. */
static void pic_init(void)
{
    out8(PIC_MASTER, 0x11);
    out8(PIC_MASTER + 1, VECTOR_PIC);
    out8(PIC_MASTER + 1, 1 << 2);
    out8(PIC_MASTER + 1, 0x01);
    out8(PIC_SLAVE, 0x11);
    out8(PIC_SLAVE + 1, VECTOR_PIC + 8);
    out8(PIC_SLAVE + 1, 2);
    out8(PIC_SLAVE + 1, 0x01);
    out8(PIC_MASTER + 1, (uint8_t)~(IRQ_TIMER | IRQ_CASCADE | IRQ_SERIAL));
    interrupts_unmask_sci();
}

void interrupts_start(void)
{
    static bool started;
    if (!started)
        pic_init();
    started = true;
}

void interrupts_restart(void)
{
    out8(PIC_EDGE_LEVEL, 0);
    out8(PIC_EDGE_LEVEL + 1, 0);
    pic_init();
}

void interrupts_unmask_sci(void) { out8(PIC_SLAVE + 1, (uint8_t)~(IRQ_SCI >> 8)); }

uint32_t interrupts_wait(uint32_t mask)
{
    interrupts_start();
    uint32_t arrived;
    while (!(arrived = interrupts_pending & mask))
        ring0_call(wait_for_interrupt, 0, 0, 0);
    interrupts_pending &= ~arrived;
    return arrived;
}

void interrupts_clear(uint32_t mask) { interrupts_pending &= ~mask; }

void interrupts_enable_msi(void)
{
    write32(LAPIC + LAPIC_SPURIOUS, LAPIC_ENABLE | VECTOR_SPURIOUS);
    write32(LAPIC + LAPIC_LVT_LINT0, LVT_EXTINT); /* the 8259s stay connected */
}

uint64_t ring0_call(const void *routine, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t result = (uint64_t)routine;
    uint16_t cs;
    asm("mov %%cs, %0" : "=r"(cs));
    if ((cs & 3) == 0)
        return ((uint64_t (*)(uint64_t, uint64_t, uint64_t))routine)(a, b, c);
    asm volatile("int3" : "+a"(result), "+D"(a), "+S"(b), "+d"(c) : : "rcx", "r8", "r9", "r10", "r11", "memory");
    return result;
}

/* A bug in the guest: reports it and stops the machine (isa-debug-exit), in ring 0. */
void exception_report(const struct exception_frame *frame, uint64_t cr2)
{
    print("exception %lu error %lx rip %lx cs %lx rsp %lx cr2 %lx\n", frame->vector, frame->error, frame->rip,
          frame->cs, frame->rsp, cr2);
    out32(0xf4, 127);
    for (;;)
        asm volatile("cli; hlt");
}
