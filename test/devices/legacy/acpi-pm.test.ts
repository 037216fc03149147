import { describe, expect, it } from 'vitest';
import { AcpiPm } from '../../../src/devices/legacy/acpi-pm.ts';
import { DeviceClock } from '../../support/device-clock.ts';
import { FakeLine } from '../../support/fake-line.ts';
import { portBus, Requests, writeGarbage } from '../../support/port-device.ts';

const [STATUS, ENABLE, CONTROL, TIMER] = [0x600, 0x602, 0x604, 0x608];
const POWER_BUTTON = 0x100;
const RTC_ALARM = 0x400;
/** S3, and to enter it. */
const SLEEP = (1 << 10) | (1 << 13);
const SECOND = 1_000_000_000n;

function rig(clock = new DeviceClock(), sleepStates = { s3: true, s4: true }) {
  const sci = new FakeLine();
  const requests = new Requests();
  const device = new AcpiPm({ port: STATUS, sci, clock, sleepStates, request: requests.request });
  return { device, sci, clock, requests, bus: portBus(device) };
}

describe('ACPI fixed hardware', () => {
  it('raises the SCI for the power button until the guest has cleared the status', () => {
    const { device, sci, bus } = rig();
    device.press();
    expect(sci.level).toBe(false);
    bus.write(ENABLE, 2, POWER_BUTTON);
    expect([sci.level, bus.read(STATUS, 2)]).toEqual([true, POWER_BUTTON]);
    bus.write(STATUS, 2, 0);
    expect(sci.level).toBe(true);
    bus.write(STATUS, 2, POWER_BUTTON);
    expect([sci.level, bus.read(STATUS, 4)]).toEqual([false, POWER_BUTTON << 16]);
  });

  it('powers the machine off for the sleep types of S4 and S5, written as words or bytes', () => {
    const { bus, requests } = rig();
    expect(bus.read(CONTROL, 2)).toBe(1); // always in ACPI mode
    bus.write(CONTROL, 2, 1);
    bus.write(CONTROL, 2, (3 << 10) | (1 << 13));
    expect(requests.all).toEqual([]);
    bus.write(CONTROL, 2, (1 << 13) | 1);
    bus.write(CONTROL + 1, 1, (5 << 2) | (1 << 5));
    bus.write(CONTROL, 2, (2 << 10) | (1 << 13));
    const off = { kind: 'power-off' };
    expect(requests.all).toEqual([off, off, { ...off, reason: 'the guest hibernated' }]);
    expect(bus.read(CONTROL, 2)).toBe((2 << 10) | 1);
  });

  it('sleeps until it is reset, and reports the wake-up source', () => {
    const { device, bus, requests, clock } = rig();
    bus.write(ENABLE, 2, RTC_ALARM);
    expect([device.wakesBy('user'), device.wakesBy('rtc')]).toEqual([true, true]);
    bus.write(CONTROL, 2, SLEEP);
    bus.write(CONTROL, 2, SLEEP);
    expect([device.asleep, requests.all]).toEqual([true, [{ kind: 'sleep' }]]);
    const other = rig(clock);
    other.device.load(device.save());
    expect(other.device.asleep).toBe(true);
    device.press();
    expect([bus.read(STATUS, 2), requests.all[1]]).toEqual([0, { kind: 'wake', by: 'user' }]);
    device.reset();
    expect([device.asleep, device.wakesBy('rtc')]).toEqual([false, false]);
    for (const [by, status] of [
      ['rtc', RTC_ALARM],
      ['user', POWER_BUTTON],
      ['network', 0],
    ] as const) {
      device.reset();
      device.wake(by);
      expect(bus.read(STATUS, 2)).toBe(0x8000 | status);
    }
    device.reset();
    device.wake('user');
    bus.write(STATUS, 2, 0x8000 | POWER_BUTTON);
    expect(bus.read(STATUS, 2)).toBe(0);
  });

  it('ignores the states that the machine does not have', () => {
    const { device, bus, requests } = rig(new DeviceClock(), { s3: false, s4: false });
    bus.write(CONTROL, 2, SLEEP);
    bus.write(CONTROL, 2, (2 << 10) | (1 << 13));
    expect([device.asleep, requests.all]).toEqual([false, []]);
  });

  it('counts 3.579545 MHz in 32 bits', () => {
    const { bus, clock } = rig();
    expect(bus.read(TIMER, 4)).toBe(0);
    clock.jump(SECOND);
    expect(bus.read(TIMER, 4)).toBe(3_579_545);
    expect(bus.read(TIMER, 2)).toBe(3_579_545 & 0xffff);
    clock.jump(1200n * SECOND);
    expect(bus.read(TIMER, 4)).toBe((1201 * 3_579_545) % 2 ** 32);
    bus.write(TIMER, 4, 0);
    expect(bus.read(TIMER, 4)).not.toBe(0);
  });

  it("interrupts when the timer's highest bit changes, if enabled", () => {
    const { bus, clock, sci } = rig();
    bus.write(ENABLE, 2, 1);
    clock.jump(599n * SECOND);
    expect(sci.level).toBe(false);
    clock.jump(SECOND);
    expect([sci.level, bus.read(STATUS, 2)]).toEqual([true, 1]);
    bus.write(STATUS, 2, 1);
    expect(sci.level).toBe(false);
    clock.jump(600n * SECOND);
    expect(sci.level).toBe(true);
  });

  it('sets no timer while it is quiesced, and catches up afterward', () => {
    const { bus, clock, sci, device } = rig();
    bus.write(ENABLE, 2, 1);
    expect(clock.timers).toBe(1);
    device.quiesce(() => {});
    expect(clock.timers).toBe(0);
    clock.jump(600n * SECOND);
    expect(sci.level).toBe(false);
    device.resume();
    expect(sci.level).toBe(true);
  });

  it('continues in another machine from its saved state', () => {
    const { bus, clock, device } = rig();
    bus.write(ENABLE, 2, POWER_BUTTON);
    clock.jump(7n * SECOND);
    device.press();
    const other = rig(clock);
    other.device.load(device.save());
    expect(other.sci.level).toBe(true);
    expect(other.bus.read(TIMER, 4)).toBe(bus.read(TIMER, 4));
    expect(other.device.save()).toEqual(device.save());
  });

  it('survives garbage writes, and works again after a reset', () => {
    const { bus, device, sci, clock } = rig();
    writeGarbage(device);
    expect(bus.read(CONTROL, 2) & 1).toBe(1);
    device.reset();
    expect([sci.level, bus.read(STATUS, 4), clock.timers]).toEqual([false, 0, 0]);
    bus.write(ENABLE, 2, 0xffff);
    expect(bus.read(ENABLE, 2)).toBe(0x521);
  });
});
