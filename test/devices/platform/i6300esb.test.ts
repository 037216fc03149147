import { describe, expect, it } from 'vitest';
import * as zod from 'zod';
import { COMMAND, REG } from '../../../src/devices/pci/registers.ts';
import { i6300esb } from '../../../src/devices/platform/i6300esb.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

/** Registers (Intel 6300ESB data sheet, chapter 16). */
const [CONFIG, LOCK] = [0x60, 0x68];
const [PRELOAD1, PRELOAD2, INTERRUPT, RELOAD] = [0x0, 0x4, 0x8, 0xc];
const REASON = 'the guest has not restarted its watchdog (watchdog0)';

function rig(action = 'reset') {
  const machine = new FakeMachine();
  const options = i6300esb.config(zod).parse({ type: 'i6300esb', action });
  const built = i6300esb.create(machine.services, options, 'watchdog0');
  machine.chipset.attach({ type: i6300esb, built });
  machine.pci.assign();
  const fn = built.pci!;
  fn.writeConfig(REG.command, 2, COMMAND.memory);
  const base = fn.bars[0]!.address!;
  const write = (register: number, size: 1 | 2 | 4, value: number) =>
    machine.memoryBus.write(base + register, size, value);
  const read = (register: number, size: 1 | 2 | 4) => machine.memoryBus.read(base + register, size);
  const unlock = () => {
    write(RELOAD, 1, 0x80);
    write(RELOAD, 1, 0x86);
  };
  /** As Linux sets it: two stages of a second each at 1 kHz, without an interrupt. */
  const start = (config = 0x03, lock = 0x02) => {
    fn.writeConfig(CONFIG, 2, config);
    for (const register of [PRELOAD1, PRELOAD2]) {
      unlock();
      write(register, 4, 1007);
    }
    fn.writeConfig(LOCK, 1, lock);
  };
  const restart = () => {
    unlock();
    write(RELOAD, 2, 0x100);
  };
  return { machine, built, fn, write, read, unlock, start, restart };
}

describe('the watchdog', () => {
  it.each([
    ['reset', { kind: 'reset', reason: REASON }],
    ['poweroff', { kind: 'power-off', reason: REASON }],
    ['pause', { kind: 'pause', reason: REASON }],
    ['shutdown', { kind: 'power-button' }],
  ])('performs the configured action when both stages expire: %s', (action, request) => {
    const { machine, start, restart, read } = rig(action);
    start();
    for (let round = 0; round < 3; round++) {
      machine.clock.advance(1900);
      restart();
    }
    expect(machine.requests).toEqual([]);
    machine.clock.advance(1990);
    expect(machine.requests).toEqual([]);
    machine.clock.advance(20);
    expect(machine.requests).toEqual([request]);
    expect(read(RELOAD, 2) & 0x200).toBe(0x200);
    // It has ended.
    machine.clock.advance(60_000);
    expect(machine.requests).toHaveLength(1);
  });

  it('only reports it, once, if so configured', () => {
    const { machine, start } = rig('none');
    start(0x03, 0x06);
    machine.clock.advance(20_000);
    expect([machine.requests, machine.warnings]).toEqual([[], [REASON]]);
  });

  it('interrupts at the end of its first stage', () => {
    const { machine, start, read, write } = rig();
    start(0x00);
    machine.clock.advance(1010);
    expect([read(INTERRUPT, 1), machine.lines.some(line => line.level)]).toEqual([1, true]);
    write(INTERRUPT, 1, 1);
    expect([read(INTERRUPT, 1), machine.lines.some(line => line.level)]).toEqual([0, false]);
  });

  it('ignores writes that are not unlocked', () => {
    const { machine, start, write } = rig();
    start();
    write(PRELOAD1, 4, 0xf_ffff);
    write(RELOAD, 1, 0x80);
    write(RELOAD, 2, 0x100);
    write(RELOAD, 2, 0x100);
    machine.clock.advance(2010);
    expect(machine.requests).toHaveLength(1);
  });

  it('is stopped by its driver unless the driver has locked it', () => {
    const stopped = rig();
    stopped.start();
    stopped.fn.writeConfig(LOCK, 1, 0);
    stopped.machine.clock.advance(5000);
    expect(stopped.machine.requests).toEqual([]);
    const locked = rig();
    locked.start(0x03, 0x03);
    locked.fn.writeConfig(LOCK, 1, 0);
    expect(locked.fn.readConfig(LOCK, 1)).toBe(0x03);
    locked.machine.clock.advance(2010);
    expect(locked.machine.requests).toHaveLength(1);
    // A reset unlocks it, and it reports the reason.
    locked.built.device.quiesce!(() => {});
    locked.built.device.reset();
    expect(locked.fn.readConfig(LOCK, 1)).toBe(0);
    locked.fn.writeConfig(LOCK, 1, 0x02);
    expect(locked.fn.readConfig(LOCK, 1)).toBe(0x02);
  });

  it('does not count while the machine is paused, and continues afterward', () => {
    const { machine, built, start } = rig();
    start();
    built.device.quiesce!(() => {});
    expect(machine.clock.timers).toBe(0);
    built.device.resume!();
    machine.clock.advance(2010);
    expect(machine.requests).toHaveLength(1);
  });

  it('has no effect if its driver has disabled its output', () => {
    const { machine, start } = rig();
    start(0x23);
    machine.clock.advance(5000);
    expect(machine.requests).toEqual([]);
  });
});
