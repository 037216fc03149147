import { describe, expect, it } from 'vitest';
import { Rtc } from '../../../src/devices/legacy/rtc.ts';
import { DeviceClock } from '../../support/device-clock.ts';
import { FakeLine } from '../../support/fake-line.ts';
import { portBus, Requests, writeGarbage } from '../../support/port-device.ts';

const PORT = 0x70;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

function rig(clock = new DeviceClock(), offsetMs = 0) {
  const line = new FakeLine();
  const memory = [
    { address: 0, size: 3 * GiB, host: 0n },
    { address: 4 * GiB, size: 1 * GiB, host: 0n },
  ];
  const requests = new Requests();
  const { request } = requests;
  const device = new Rtc({ port: PORT, line, clock, request, offsetMs, memory });
  const bus = portBus(device);
  const read = (register: number) => {
    bus.write(PORT, 1, register);
    return bus.read(PORT + 1, 1);
  };
  const write = (register: number, value: number) => {
    bus.write(PORT, 1, register);
    bus.write(PORT + 1, 1, value);
  };
  /** Century, year, month, day, hours, minutes, seconds, weekday, as hexadecimal digits. */
  const time = () =>
    [0x32, 9, 8, 7, 4, 2, 0, 6].map(register => read(register).toString(16).padStart(2, '0')).join(' ');
  return { clock, line, device, requests, read, write, time };
}

/** Sets B.SET, the registers, and clears it again, as a driver does. */
function setTime({ read, write }: ReturnType<typeof rig>, values: Record<number, number>): void {
  const b = read(0x0b);
  write(0x0b, b | 0x80);
  for (const [register, value] of Object.entries(values)) write(Number(register), value);
  write(0x0b, b);
}

describe('MC146818', () => {
  it("shows the host's time in BCD, and handles a leap day", () => {
    const rtc = rig();
    expect(rtc.time()).toBe('20 24 02 28 23 59 58 04');
    rtc.clock.advance(2000);
    expect(rtc.time()).toBe('20 24 02 29 00 00 00 05');
  });

  it('starts at another time, and keeps the difference', () => {
    const rtc = rig(new DeviceClock(), 3_600_000);
    expect(rtc.time()).toBe('20 24 02 29 00 59 58 05');
    rtc.device.reset();
    rtc.clock.advance(1000);
    expect(rtc.time()).toBe('20 24 02 29 00 59 59 05');
  });

  it('shows the time in binary and in 12-hour format as register B selects', () => {
    const rtc = rig();
    rtc.write(0x0b, 0x06);
    expect(rtc.time()).toBe('14 18 02 1c 17 3b 3a 04');
    rtc.write(0x0b, 0x00);
    expect(rtc.read(4)).toBe(0x91);
    rtc.clock.advance(2000);
    expect(rtc.read(4)).toBe(0x12);
  });

  it('keeps its own time once the guest has set it', () => {
    const rtc = rig();
    setTime(rtc, { 50: 0x19, 9: 0x99, 8: 0x12, 7: 0x31, 4: 0x23, 2: 0x59, 0: 0x59 });
    expect(rtc.time()).toBe('19 99 12 31 23 59 59 06');
    rtc.clock.advance(1000);
    expect(rtc.time()).toBe('20 00 01 01 00 00 00 07');
  });

  it('is stopped while it is being set', () => {
    const rtc = rig();
    rtc.write(0x0b, 0x82);
    rtc.clock.advance(5000);
    expect(rtc.read(0)).toBe(0x58);
    rtc.write(0x0b, 0x02);
    expect(rtc.read(0)).toBe(0x58);
  });

  it('has its first update half a second after the divider is released', () => {
    const rtc = rig();
    rtc.clock.advance(300);
    rtc.write(0x0a, 0x70);
    rtc.clock.advance(5000);
    rtc.write(0x0a, 0x26);
    rtc.clock.advance(499);
    expect(rtc.read(0)).toBe(0x58);
    rtc.clock.advance(1);
    expect(rtc.read(0)).toBe(0x59);
  });

  it('sets UIP before each update', () => {
    const rtc = rig();
    expect(rtc.read(0x0a)).toBe(0x26);
    rtc.clock.advance(998);
    expect(rtc.read(0x0a)).toBe(0xa6);
    rtc.clock.advance(2);
    expect(rtc.read(0x0a)).toBe(0x26);
  });

  it('interrupts once a second until the flags have been read', () => {
    const rtc = rig();
    rtc.write(0x0b, 0x12);
    rtc.clock.advance(999);
    expect(rtc.line.level).toBe(false);
    rtc.clock.advance(1);
    expect(rtc.line.level).toBe(true);
    expect([rtc.read(0x0c), rtc.line.level, rtc.read(0x0c)]).toEqual([0x90, false, 0]);
    rtc.clock.advance(3000);
    expect(rtc.line.edges).toBe(2);
  });

  it('interrupts periodically at the chosen rate, and sets no timer for a pending interrupt', () => {
    const rtc = rig();
    rtc.write(0x0a, 0x2a); // 64 Hz
    rtc.write(0x0b, 0x42);
    let interrupts = 0;
    for (let ms = 0; ms < 1000; ms++) {
      rtc.clock.advance(1);
      if (rtc.line.level && rtc.read(0x0c) === 0xc0) interrupts++;
    }
    expect(interrupts).toBeGreaterThanOrEqual(63);
    expect(interrupts).toBeLessThanOrEqual(65);
    rtc.clock.advance(100);
    expect([rtc.line.level, rtc.clock.timers]).toEqual([true, 0]);
  });

  it('raises the alarm, with wildcards, even if a pause skipped it', () => {
    const rtc = rig();
    rtc.write(5, 0xff);
    rtc.write(3, 0x00);
    rtc.write(1, 0x10);
    rtc.write(0x0b, 0x22);
    rtc.clock.advance(11_000);
    expect(rtc.line.level).toBe(false);
    rtc.clock.advance(1000);
    expect(rtc.read(0x0c)).toBe(0xb0);
    rtc.clock.jump(3_700_000_000_000n);
    expect(rtc.read(0x0c)).toBe(0xb0);
    rtc.clock.advance(5000);
    expect(rtc.line.level).toBe(false);
  });

  it('reports memory sizes to firmware, and keeps what guests store', () => {
    const rtc = rig();
    const word = (register: number) => rtc.read(register) | (rtc.read(register + 1) << 8);
    expect([word(0x15), word(0x17), word(0x30)]).toEqual([640, 0xffff, 0xffff]);
    expect(word(0x34)).toBe((3 * GiB - 16 * MiB) / 65_536);
    expect(word(0x5b) | (rtc.read(0x5d) << 16)).toBe(GiB / 65_536);
    rtc.write(0x40, 0x77);
    rtc.device.reset();
    expect(rtc.read(0x40)).toBe(0x77);
    expect(rtc.read(0x0d)).toBe(0x80);
  });

  it('sets no timer while it is quiesced', () => {
    const rtc = rig();
    rtc.write(0x0b, 0x72);
    expect(rtc.clock.timers).toBe(2);
    rtc.device.quiesce(() => {});
    expect(rtc.clock.timers).toBe(0);
    rtc.device.resume();
    expect(rtc.clock.timers).toBe(2);
  });

  it('continues in another machine from its saved state', () => {
    const rtc = rig();
    setTime(rtc, { 9: 0x30 });
    rtc.write(0x0b, 0x12);
    rtc.clock.advance(1000);
    const other = rig(rtc.clock);
    other.device.load(rtc.device.save());
    expect(other.line.level).toBe(true);
    expect(other.time()).toBe(rtc.time());
    other.read(0x0c);
    other.device.resume();
    rtc.clock.advance(1000);
    expect(other.line.edges).toBe(2);
    expect(() => other.device.load({ ...rtc.device.save(), bytes: new Uint8Array(3) })).toThrow(
      'saved device state',
    );
  });

  it('survives garbage in every register, and can be set again', () => {
    const rtc = rig();
    writeGarbage(rtc.device);
    for (let register = 0; register < 256; register++) {
      for (const value of [0xff, 0x80, 0x7f, 0]) {
        rtc.write(register, value);
        rtc.clock.advance(2);
        rtc.read(register);
      }
    }
    rtc.write(0x0a, 0x26);
    rtc.write(0x0b, 0x02);
    setTime(rtc, { 50: 0x20, 9: 0x25, 8: 0x06, 7: 0x01, 4: 0x12, 2: 0x30, 0: 0x15 });
    expect(rtc.time()).toBe('20 25 06 01 12 30 15 01');
    rtc.device.reset();
    expect([rtc.line.level, rtc.clock.timers]).toEqual([false, 0]);
  });
});
