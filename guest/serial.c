#include "serial.h"

#include "cpu.h"
#include "interrupts.h"

enum { COM1 = 0x3f8, RBR = 0, THR = 0, DLL = 0, DLM = 1, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { IER_RECEIVED = 1 << 0 };
enum { FCR_ENABLE_AND_CLEAR = 0x07 };
enum { LCR_8N1 = 0x03, LCR_DLAB = 0x80 };
enum { MCR_DTR_RTS_OUT2 = 0x0b }; /* on a PC, OUT2 connects the interrupt */
enum { LSR_DATA_READY = 1 << 0, LSR_THR_EMPTY = 1 << 5 };
enum { FIFO_SIZE = 16 };

static uint64_t init_in_ring0(uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    out8(COM1 + IER, 0);
    out8(COM1 + LCR, LCR_DLAB | LCR_8N1);
    out8(COM1 + DLL, 1); /* 115,200 baud */
    out8(COM1 + DLM, 0);
    out8(COM1 + LCR, LCR_8N1);
    out8(COM1 + FCR, FCR_ENABLE_AND_CLEAR);
    out8(COM1 + MCR, MCR_DTR_RTS_OUT2);
    return 0;
}

void serial_init(void) { ring0_call(init_in_ring0, 0, 0, 0); }

static uint64_t write_in_ring0(uint64_t text, uint64_t length, uint64_t unused)
{
    (void)unused;
    while (length) {
        uint64_t burst = length < FIFO_SIZE ? length : FIFO_SIZE;
        length -= burst;
        while (!(in8(COM1 + LSR) & LSR_THR_EMPTY))
            cpu_pause();
        asm volatile("rep outsb" : "+S"(text), "+c"(burst) : "d"(COM1 + THR) : "memory");
    }
    return 0;
}

void serial_write(const char *text, unsigned length) { ring0_call(write_in_ring0, (uint64_t)text, length, 0); }

int serial_poll(void) { return in8(COM1 + LSR) & LSR_DATA_READY ? in8(COM1 + RBR) : -1; }

void serial_enable_interrupt(void) { out8(COM1 + IER, IER_RECEIVED); }
