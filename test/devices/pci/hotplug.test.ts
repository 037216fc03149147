import { beforeEach, describe, expect, test } from 'vitest';
import type { AccessSize } from '../../../src/devices/device.ts';
import type { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { ConfigOf, deviceWithBar } from '../../support/pci-device.ts';
import { Random } from '../../support/random.ts';
import { PciehpDriver } from './pciehp-driver.ts';

let machine: FakeMachine;
let port: RootPort;
let config: ConfigOf;

function rig(populated: boolean): void {
  machine = new FakeMachine();
  port = new RootPort('port0', { slot: 12, allocateMsi: machine.services.allocateMsi });
  machine.pci.root.plug(port, { slot: 2, function: 0 });
  if (populated) port.secondary.plug(deviceWithBar('dev0', 'memory32', 0x1000));
  machine.pci.assign();
  config = new ConfigOf(machine, 0, 2);
}

const vectorOf = (machine: FakeMachine) => machine.vectors[0]!;
const behind = (fn = 0) => new ConfigOf(machine, 1, 0, fn);
const device = (name = 'dev0') => deviceWithBar(name, 'memory32', 0x1000);
/** What a guest does with a device that it has found: a BAR in the port's window, and decoding on. */
function configure(fn = 0): void {
  behind(fn).write(0x10, 4, 0xc010_0000 + fn * 0x1000);
  behind(fn).write(0x04, 2, 6);
}

describe.each(['MSI', 'INTx'] as const)('a root port with %s', kind => {
  const start = () => new PciehpDriver(config, kind === 'MSI' ? vectorOf(machine) : null);

  test('shows a device that was there from the start as powered, without an event', () => {
    rig(true);
    const driver = start();
    expect(driver).toMatchObject({
      state: 'on',
      physicalSlot: 12,
      present: true,
      linkActive: true,
      powered: true,
    });
    driver.interrupts();
    expect(driver.log).toEqual([]);
    expect(behind().exists).toBe(true);
  });

  test('announces a device that is plugged in, which the guest powers and finds', () => {
    rig(false);
    const driver = start();
    expect(driver).toMatchObject({ state: 'off', present: false, linkActive: false, powered: false });
    const dev = device();
    port.insert([dev]);
    expect(behind().exists).toBe(false);
    driver.interrupts();
    expect(driver.log).toEqual(['button', 'enabled']);
    expect(driver).toMatchObject({ state: 'on', linkActive: true, powerIndicator: 'on' });
    configure();
    expect(machine.memoryBus.read(0xc010_0004, 4)).toBe(4);
    expect(dev.busMaster).toBe(true);
    driver.interrupts();
    expect(driver.log).toHaveLength(2);
  });

  test('has the guest release a device that is to be unplugged', () => {
    rig(true);
    const driver = start();
    configure();
    let ejected = 0;
    const leave = (functions: readonly PciFunction[]) => {
      ejected += functions.length;
    };
    port.onReleased = leave;
    expect(port.requestRemoval()).toBe(true);
    expect(port.requestRemoval()).toBe(false);
    expect(port.removing()).toBe(true);
    driver.interrupts();
    expect(driver).toMatchObject({ state: 'blinking-off', powerIndicator: 'blink' });
    expect([ejected, behind().exists]).toEqual([0, true]);
    driver.elapse();
    expect([ejected, behind().exists, port.removing()]).toEqual([1, false, false]);
    expect(driver).toMatchObject({ state: 'off', present: false, linkActive: false });
    expect(machine.memoryBus.read(0xc010_0004, 4)).toBe(0xffff_ffff);
    expect(port.requestRemoval()).toBe(false);
  });

  test('handles a surprise removal', () => {
    rig(true);
    const driver = start();
    configure();
    port.remove();
    expect(behind().exists).toBe(false);
    driver.interrupts();
    expect(driver.log[0]).toBe('gone');
    expect(driver).toMatchObject({ state: 'off', present: false, powered: false });
  });

  test('keeps a device that the guest powers off itself, without its state', () => {
    rig(true);
    const driver = start();
    configure();
    let resets = 0;
    port.secondary.functions[0]!.fn.onBusReset(() => resets++);
    driver.setPower(false);
    expect([behind().exists, resets, driver.present]).toEqual([false, 1, true]);
    expect(machine.memoryBus.read(0xc010_0004, 4)).toBe(0xffff_ffff);
    driver.setPower(true);
    expect(behind().read(0x10, 4)).toBe(0);
    expect(driver.log).toEqual(['disabled', 'enabled']);
    // Off and to be removed: there is nothing to wait for.
    driver.setPower(false);
    let ejected = 0;
    port.onReleased = () => ejected++;
    port.requestRemoval();
    expect(ejected).toBe(1);
  });

  test('accepts the next device as soon as the last one is removed', () => {
    rig(true);
    const driver = start();
    port.onReleased = () => port.insert([device('dev1')]);
    port.requestRemoval();
    driver.interrupts();
    driver.elapse();
    // The guest had not handled the presence change when the next one arrived, and its button event is pending.
    driver.elapse();
    expect(driver).toMatchObject({ state: 'on', present: true, linkActive: true });
    expect(port.secondary.functions.map(({ fn }) => fn.name)).toEqual(['dev1']);
  });

  test('accepts a device with several functions', () => {
    rig(false);
    const driver = start();
    port.insert([device('fn0'), device('fn1'), device('fn2')]);
    driver.interrupts();
    expect([0, 1, 2, 3].map(fn => behind(fn).exists)).toEqual([true, true, true, false]);
    expect(behind().read(0x0e, 1)).toBe(0x80);
    expect(() => port.insert([device('other')])).toThrow('port0 holds "fn0"; unplug it before "other"');
    port.requestRemoval();
    driver.interrupts();
    driver.elapse();
    expect([0, 1, 2].map(fn => behind(fn).exists)).toEqual([false, false, false]);
  });

  test('survives plugging and unplugging devices many times', () => {
    rig(false);
    const driver = start();
    for (let round = 0; round < 50; round++) {
      port.insert([device(`dev${round}`)]);
      driver.interrupts();
      configure();
      expect(machine.memoryBus.read(0xc010_0008, 4)).toBe(8);
      port.requestRemoval();
      driver.interrupts();
      driver.elapse();
      expect(driver).toMatchObject({ state: 'off', present: false });
    }
    expect(driver.log.filter(line => line === 'enabled')).toHaveLength(50);
    expect(machine.regions.map(({ device }) => device)).not.toContainEqual(expect.stringMatching(/^dev/));
  });
});

describe('a root port', () => {
  beforeEach(() => rig(true));

  test('sends one MSI when an event becomes pending, and none while it is masked', () => {
    const driver = new PciehpDriver(config, vectorOf(machine));
    const vector = vectorOf(machine);
    const sent = vector.sent.length;
    port.remove();
    port.insert([device()]);
    expect(vector.sent.length).toBe(sent + 1);
    driver.interrupts();
    const mask = config.capability(5) + 16;
    config.write(mask, 4, 1);
    port.remove();
    const before = vector.sent.length;
    expect(config.read(mask + 4, 4)).toBe(1);
    config.write(mask, 4, 0);
    expect(vector.sent.length).toBe(before + 1);
    expect(vector.sent.at(-1)).toEqual({ address: 0xfee0_0000n, data: 0x41 });
  });

  test('does not interrupt a guest that has not enabled it', () => {
    port.remove();
    expect(vectorOf(machine).sent).toEqual([]);
    expect(machine.lines.some(({ level }) => level)).toBe(false);
  });

  test('is saved with pending events', () => {
    const driver = new PciehpDriver(config, vectorOf(machine));
    port.requestRemoval();
    const state = machine.pci.save();
    machine.pci.load(state);
    expect(machine.pci.save()).toEqual(state);
    expect(port.removing()).toBe(true);
    driver.interrupts();
    driver.elapse();
    expect(driver.present).toBe(false);
  });

  test('loads a slot that is powered off and has a device', () => {
    const driver = new PciehpDriver(config, null);
    driver.setPower(false);
    const state = machine.pci.save();
    driver.setPower(true);
    machine.pci.load(state);
    expect(driver).toMatchObject({ present: true, linkActive: false, powered: false });
    expect(behind().exists).toBe(false);
  });

  test('powers its device on after a reset, and removes one that was to be unplugged', () => {
    new PciehpDriver(config, null).setPower(false);
    port.secondary.functions[0]!.fn.reset();
    machine.pci.reset();
    expect(behind().exists).toBe(true);
    expect(machine.memoryBus.read(0xc000_0004, 4)).toBe(4);
    let ejected = 0;
    port.onReleased = () => ejected++;
    port.requestRemoval();
    machine.pci.reset();
    expect([ejected, behind().exists]).toEqual([1, false]);
    expect(machine.memoryBus.read(0xc000_0004, 4)).toBe(0xffff_ffff);
  });

  test.each([1, 2, 3])(
    'survives garbage in its registers while devices are plugged and unplugged (seed %i)',
    seed => {
      const random = new Random(seed);
      let ejected = 0;
      port.onReleased = () => ejected++;
      for (let i = 0; i < 20_000; i++) {
        const size = random.pick([1, 2, 4] as const) as AccessSize;
        const at = random.below(0x100) & ~(size - 1);
        const target = random.pick([config, behind()]);
        if (random.below(3) > 0) target.write(at, size, random.u32());
        else target.read(at, size);
        if (random.below(50) === 0) port.requestRemoval();
        if (random.below(50) === 0 && port.secondary.functions.length === 0) port.insert([device(`d${i}`)]);
        if (random.below(500) === 0) port.remove();
      }
      expect(ejected).toBeGreaterThan(0);
      // A reset would complete a pending removal.
      port.remove();
      port.insert([device()]);
      for (const { fn } of port.secondary.functions) fn.reset();
      machine.pci.reset();
      const driver = new PciehpDriver(config, vectorOf(machine));
      expect(driver).toMatchObject({ state: 'on', linkActive: true });
      expect(behind().exists).toBe(true);
    },
  );
});
