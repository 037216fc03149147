import { describe, expect, it } from 'vitest';
import type { CharBackend } from '../../../src/devices/backends/char.ts';
import { Serial } from '../../../src/devices/legacy/serial.ts';
import { FakeLine } from '../../support/fake-line.ts';
import { portBus, writeGarbage } from '../../support/port-device.ts';

const COM1 = 0x3f8;
const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];

function rig() {
  let printed = '';
  const backend: CharBackend = {
    write: bytes => {
      printed += Buffer.from(bytes).toString('latin1');
    },
    onInput: null,
  };
  const line = new FakeLine();
  const device = new Serial({ name: 'com1', port: COM1, line, backend });
  const bus = portBus(device);
  return {
    device,
    line,
    read: (register: number) => bus.read(COM1 + register, 1),
    write: (register: number, value: number) => bus.write(COM1 + register, 1, value),
    type: (text: string) => backend.onInput!(Buffer.from(text)),
    printed: () => printed,
  };
}

type Port = ReturnType<typeof rig>;

/** Reads until the line status says that nothing is left, as a driver does. */
function receiveAll({ read }: Port, most = 10_000_000): string {
  let text = '';
  while (text.length < most && read(LSR) & 1) text += String.fromCharCode(read(RBR));
  return text;
}

describe('16550A', () => {
  it('sends what is written to it, and is always ready for more', () => {
    const port = rig();
    for (const byte of Buffer.from('hello\n')) port.write(RBR, byte);
    expect(port.printed()).toBe('hello\n');
    expect(port.read(LSR)).toBe(0x60);
  });

  it('queues pasted text until the guest has read it all, 16 bytes at a time', () => {
    const port = rig();
    const text = 'x'.repeat(200_000).concat('end');
    port.write(IIR, 0x01);
    port.type(text);
    expect(receiveAll(port)).toBe(text);
    expect(port.read(LSR) & 0x03).toBe(0);
  });

  it('drops input beyond a mebibyte, and reports an overrun', () => {
    const port = rig();
    port.type('a'.repeat(2 ** 20));
    port.type('bcd');
    expect(port.read(LSR) & 0x02).toBe(0x02);
    expect(receiveAll(port)).toBe(`${'a'.repeat(2 ** 20)}b`);
  });

  it('holds input while RTS is low', () => {
    const port = rig();
    port.write(MCR, 0x01);
    port.type('later');
    expect(port.read(LSR) & 1).toBe(0);
    port.write(MCR, 0x03);
    expect(receiveAll(port)).toBe('later');
  });

  it('interrupts for input until it is read: at the trigger level, or below it by timeout', () => {
    const port = rig();
    port.write(IIR, 0x41); // FIFOs on, trigger level 4
    port.write(IER, 0x01);
    expect(port.read(IIR)).toBe(0xc1);
    port.type('abc');
    expect(port.line.level).toBe(true);
    expect(port.read(IIR)).toBe(0xcc);
    port.type('d');
    expect(port.read(IIR)).toBe(0xc4);
    receiveAll(port);
    expect(port.line.level).toBe(false);
    expect(port.read(IIR)).toBe(0xc1);
  });

  it('interrupts when the transmitter is empty: on enabling, and after each byte, until IIR is read', () => {
    const port = rig();
    port.write(IER, 0x02);
    expect([port.line.level, port.read(IIR), port.line.level]).toEqual([true, 0x02, false]);
    expect(port.read(IIR)).toBe(0x01);
    port.write(RBR, 0x41);
    port.write(RBR, 0x42);
    // An edge for each byte, even for a guest that reads no IIR between.
    expect(port.line.edges).toBe(3);
    port.write(IER, 0);
    expect(port.line.level).toBe(false);
    port.write(IER, 0x02);
    expect(port.read(IIR)).toBe(0x02);
  });

  it('reports the interrupt source with the highest priority first', () => {
    const port = rig();
    port.write(IER, 0x0f);
    port.type('a'.repeat(2 ** 20 + 2)); // more than it keeps: line status
    port.write(MCR, 0x10);
    port.write(MCR, 0x12); // CTS changes in loopback: modem status
    expect(port.read(IIR)).toBe(0x06);
    port.read(LSR);
    expect(port.read(IIR)).toBe(0x04);
    port.read(RBR);
    expect(port.read(IIR)).toBe(0x02);
    expect(port.read(IIR)).toBe(0x00);
    port.read(MSR);
    expect(port.read(IIR)).toBe(0x01);
  });

  it('keeps the divisor apart from the data registers', () => {
    const port = rig();
    port.write(LCR, 0x83);
    port.write(RBR, 0x01);
    port.write(IER, 0x02);
    expect([port.read(RBR), port.read(IER)]).toEqual([0x01, 0x02]);
    port.write(LCR, 0x03);
    expect([port.printed(), port.read(IER)]).toEqual(['', 0]);
  });

  it('loops back data and modem lines in loopback mode', () => {
    const port = rig();
    expect(port.read(MSR)).toBe(0xb0);
    port.write(MCR, 0x1a);
    expect(port.read(MSR) & 0xf0).toBe(0x90);
    port.write(RBR, 0x5a);
    expect([port.printed(), port.read(RBR)]).toEqual(['', 0x5a]);
    port.write(RBR, 1);
    port.write(RBR, 2);
    expect(port.read(LSR)).toBe(0x63);
  });

  it("passes the probes by which Linux's 8250 driver detects a 16550A", () => {
    const port = rig();
    // Interrupt enable: only the low four bits stay.
    port.write(IER, 0xff);
    expect(port.read(IER)).toBe(0x0f);
    port.write(IER, 0);
    expect(port.read(IER)).toBe(0);
    // FIFO type.
    port.write(LCR, 0xbf);
    port.write(IIR, 0);
    port.write(LCR, 0);
    port.write(IIR, 0x01);
    expect(port.read(IIR) >> 6).toBe(3);
    // No enhanced feature register (16650), and no 64-byte FIFO (16750).
    for (const lcr of [0x80, 0xbf]) {
      port.write(LCR, lcr);
      expect(port.read(IIR)).not.toBe(0);
    }
    port.write(LCR, 0);
    port.write(IIR, 0x21);
    expect(port.read(IIR) >> 5).toBe(6);
    port.write(LCR, 0x80);
    port.write(IIR, 0x21);
    expect(port.read(IIR) >> 5).toBe(6);
    port.write(LCR, 0);
    // A scratch register, which the 8250 lacks.
    port.write(SCR, 0xa5);
    expect(port.read(SCR)).toBe(0xa5);
  });

  it('continues in another machine from its saved state', () => {
    const port = rig();
    port.write(IIR, 0x01);
    port.write(IER, 0x01);
    port.write(MCR, 0x0b);
    port.type('twenty-six typed bytes ...');
    port.read(RBR);
    const other = rig();
    other.device.load(port.device.save());
    expect(other.line.level).toBe(true);
    expect(other.read(IIR)).toBe(0xc4);
    expect(other.device.save()).toEqual(port.device.save());
    expect(receiveAll(other)).toBe('wenty-six typed bytes ...');
  });

  it('survives garbage writes, and works again after a reset', () => {
    const port = rig();
    port.type('q'.repeat(1000));
    writeGarbage(port.device);
    const before = port.printed().length;
    port.device.reset();
    expect([port.line.level, port.read(IER), port.read(LSR)]).toEqual([false, 0, 0x60]);
    port.write(RBR, 0x21);
    expect(port.printed().slice(before)).toBe('!');
  });
});
