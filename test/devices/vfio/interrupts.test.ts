import { describe, expect, test } from 'vitest';
import { IRQ } from '../../../src/devices/vfio/host-device.ts';
import type { FakeHostDevice } from '../../support/fake-host-device.ts';
import { graphicsCard, manyMessages } from './made-devices.ts';
import { COMMAND, PassedRig } from './passed-rig.ts';

const TABLE_BAR = 3;
const MESSAGE = { address: 0xfee0_1000n, data: 0x41 };
const noresize = (device: FakeHostDevice) => {
  device.noresize = true;
};

/** A driver of MSI-X. */
class MsixDriver {
  readonly rig: PassedRig;
  readonly #at: number;
  readonly #table: number;
  readonly #bar: number;

  constructor(rig: PassedRig) {
    this.rig = rig;
    this.#at = rig.capability(0x11)!;
    const table = rig.fn.readConfig(this.#at + 4, 4);
    this.#bar = table & 7;
    this.#table = table & ~7;
    rig.start();
  }

  get control(): number {
    return this.rig.fn.readConfig(this.#at + 2, 2);
  }

  set control(value: number) {
    this.rig.fn.writeConfig(this.#at + 2, 2, value);
  }

  enable(): void {
    this.control = 0x8000;
  }

  mask(vector: number, masked: boolean): void {
    this.rig.write(this.#bar, this.#table + 16 * vector + 12, masked ? 1 : 0);
  }

  use(vector: number, data = MESSAGE.data + vector): void {
    const entry = this.#table + 16 * vector;
    this.rig.write(this.#bar, entry, Number(MESSAGE.address));
    this.rig.write(this.#bar, entry + 4, 0);
    this.rig.write(this.#bar, entry + 8, data);
    this.mask(vector, false);
  }
}

const sent = (rig: PassedRig) => rig.machine.vectors.map(vector => vector.sent.map(({ data }) => data));

describe('MSI-X', () => {
  test('connects vectors to the device as the guest unmasks them', () => {
    const driver = new MsixDriver(new PassedRig('igb-vf'));
    const { rig } = driver;
    driver.enable();
    expect(rig.host.triggers[IRQ.msix]).toEqual([null]);
    driver.use(1);
    driver.use(2);
    const [none, one, two] = rig.host.triggers[IRQ.msix]!;
    expect([none, typeof one, typeof two]).toEqual([null, 'number', 'number']);
    rig.host.interrupt(IRQ.msix, 2);
    expect(sent(rig)).toEqual([[], [], [0x43]]);
    expect(rig.device.facts.interrupts).toEqual({ kind: 'msix', vectors: 3, enabled: 2 });
  });

  test('connects what was set up before it was enabled', () => {
    const driver = new MsixDriver(new PassedRig('igb-vf'));
    driver.use(2);
    expect(driver.rig.host.triggers[IRQ.msix]).toEqual([]);
    driver.enable();
    expect(driver.rig.host.triggers[IRQ.msix]!.map(fd => fd !== null)).toEqual([false, false, true]);
  });

  test('keeps the interrupts of a masked vector pending, and shows them', () => {
    const driver = new MsixDriver(new PassedRig('igb-vf'));
    const { rig } = driver;
    driver.enable();
    driver.use(0);
    driver.mask(0, true);
    rig.host.interrupt(IRQ.msix, 0);
    expect(sent(rig)[0]).toEqual([]);
    expect(rig.read(TABLE_BAR, 0x2000)).toBe(1);
    rig.write(TABLE_BAR, 0x2000, 0);
    expect(rig.read(TABLE_BAR, 0x2000)).toBe(1);
    driver.mask(0, false);
    expect(sent(rig)[0]).toEqual([0x41]);
    // A changed message is used from then on, without accessing the device.
    const calls = rig.host.calls.length;
    driver.use(0, 0x77);
    rig.host.interrupt(IRQ.msix, 0);
    expect(sent(rig)[0]).toEqual([0x41, 0x77]);
    expect(rig.host.calls.length).toBe(calls);
  });

  test('is silent while the function is masked, or is not a bus master', () => {
    const driver = new MsixDriver(new PassedRig('igb-vf'));
    const { rig } = driver;
    driver.enable();
    driver.use(0);
    driver.control = 0xc000;
    rig.host.interrupt(IRQ.msix, 0);
    expect(sent(rig)[0]).toEqual([]);
    driver.control = 0x8000;
    expect(sent(rig)[0]).toEqual([0x41]);
    rig.command = COMMAND.memory;
    rig.host.interrupt(IRQ.msix, 0);
    expect(sent(rig)[0]).toEqual([0x41]);
  });

  test('is disconnected when the guest disables it, and pending interrupts are dropped', () => {
    const driver = new MsixDriver(new PassedRig('igb'));
    const { rig } = driver;
    expect(rig.device.facts.interrupts.kind).toBe('intx');
    const fds = rig.machine.eventFds.counts.size;
    driver.enable();
    expect(rig.host.triggers[IRQ.intx]).toEqual([]);
    for (let vector = 0; vector < 10; vector++) driver.use(vector);
    driver.control = 0;
    expect(rig.host.triggers[IRQ.msix]).toEqual([]);
    expect(rig.host.triggers[IRQ.intx]).toHaveLength(1);
    expect(rig.machine.eventFds.counts.size).toBe(fds);
    expect(rig.device.facts.interrupts).toEqual({ kind: 'intx', vectors: 1, enabled: 1 });
  });

  test('disables and reconnects all vectors where none can be added, and loses no interrupt', () => {
    const driver = new MsixDriver(new PassedRig('igb', {}, { prepare: noresize }));
    const { rig } = driver;
    driver.enable();
    for (let vector = 0; vector < 10; vector++) driver.use(vector);
    expect(rig.host.triggers[IRQ.msix]!.every(fd => fd !== null)).toBe(true);
    // 1, 2, 4, 8 and then 10 vectors.
    expect(rig.host.calls.filter(call => call === 'msix off')).toHaveLength(4);
    for (let vector = 0; vector < 10; vector++) rig.host.interrupt(IRQ.msix, vector);
    // The first is that of MSI.
    const messages = sent(rig).slice(1);
    for (const [vector, ofVector] of messages.entries()) expect(ofVector.at(-1)).toBe(0x41 + vector);
    expect(messages[0]!.length).toBeGreaterThan(1);
    expect(rig.machine.broken).toEqual([]);
  });

  test("uses no more vectors than the host provides, and not the device's table", () => {
    const rig = new PassedRig({ ...graphicsCard('0000:41:00.0'), interrupts: { intx: 1, msi: 1, msix: 4 } });
    const driver = new MsixDriver(rig);
    expect(driver.control & 0x7ff).toBe(3);
    driver.use(3);
    expect(rig.host.contents[0]!.some(byte => byte !== 0)).toBe(false);
    expect(rig.read(0, 0xb90000 + 16 * 3)).toBe(Number(MESSAGE.address));
  });

  test('goes through the machine thread if so configured', () => {
    const driver = new MsixDriver(new PassedRig('igb-vf', { 'x-no-kvm-msix': true }));
    const { rig } = driver;
    driver.enable();
    driver.use(0);
    rig.host.interrupt(IRQ.msix, 0);
    expect(sent(rig)[0]).toEqual([]);
    rig.machine.eventFds.settle();
    expect(sent(rig)[0]).toEqual([0x41]);
  });

  test('that the kernel rejects is reported, and the machine continues', () => {
    const rig = new PassedRig('igb-vf');
    rig.host.triggers[IRQ.intx]!.push(7);
    new MsixDriver(rig).enable();
    expect(rig.machine.broken).toEqual(['hostdev0: 0000:01:10.0: another interrupt than msix is enabled']);
  });
});

describe('MSI', () => {
  const at = 0x40;
  const made = (options = {}) => {
    const rig = new PassedRig(manyMessages('0000:05:00.0'), options);
    rig.start();
    rig.fn.writeConfig(at + 4, 4, Number(MESSAGE.address));
    rig.fn.writeConfig(at + 8, 2, 0x41ff);
    return rig;
  };

  test('has as many vectors as the guest enables, which differ in the low bits of their data', () => {
    const rig = made();
    expect(rig.fn.readConfig(at + 2, 2)).toBe(0x010a);
    rig.fn.writeConfig(at + 2, 2, 0x0021);
    expect(rig.host.triggers[IRQ.msi]).toHaveLength(4);
    expect(rig.host.triggers[IRQ.intx]).toEqual([]);
    for (const vector of [0, 3]) rig.host.interrupt(IRQ.msi, vector);
    expect(sent(rig).slice(0, 4)).toEqual([[0x41fc], [], [], [0x41ff]]);
    expect(rig.device.facts.interrupts).toEqual({ kind: 'msi', vectors: 32, enabled: 4 });
    rig.fn.writeConfig(at + 2, 2, 0x0020);
    expect([rig.host.triggers[IRQ.msi], rig.host.triggers[IRQ.intx]!.length]).toEqual([[], 1]);
  });

  test('keeps interrupts of masked vectors pending, and shows them', () => {
    const rig = made();
    rig.fn.writeConfig(at + 0x0c, 4, 0b1001);
    rig.fn.writeConfig(at + 2, 2, 0x0051);
    expect(rig.host.triggers[IRQ.msi]).toHaveLength(32);
    rig.host.interrupt(IRQ.msi, 3);
    expect(rig.fn.readConfig(at + 0x10, 4)).toBe(0b1000);
    rig.fn.writeConfig(at + 0x0c, 4, 0);
    expect(sent(rig)[3]).toEqual([0x41e3]);
    expect(rig.fn.readConfig(at + 0x10, 4)).toBe(0);
  });

  test.each([0x71, 0x61, 0xffff])(
    'with a reserved number of vectors uses the available ones (0x%s)',
    value => {
      const rig = made();
      rig.fn.writeConfig(at + 2, 2, value);
      expect(rig.host.triggers[IRQ.msi]!.length).toBe(32);
    },
  );

  test('goes through the machine thread if so configured', () => {
    const rig = made({ 'x-no-kvm-msi': true });
    rig.fn.writeConfig(at + 2, 2, 0x0001);
    rig.host.interrupt(IRQ.msi, 0);
    rig.machine.eventFds.settle();
    expect(sent(rig)[0]).toEqual([0x41ff]);
  });
});

describe('INTx', () => {
  const wire = (rig: PassedRig) =>
    [...rig.machine.lines.flatMap(line => [...line.ends])].find(end => end.fds.size > 0);

  test('is a pair of eventfds between the device and the pin', () => {
    const rig = new PassedRig('e1000e');
    const [[trigger, resample]] = [...wire(rig)!.fds] as [[number, number]];
    expect(rig.host.triggers[IRQ.intx]).toEqual([trigger]);
    expect(rig.host.unmaskFd).toBe(resample);
    expect(rig.fn.readConfig(0x3d, 1)).toBe(1);
  });

  test('is disconnected while the guest disables the pin, and unmasked afterward', () => {
    const rig = new PassedRig('e1000e');
    rig.command |= COMMAND.interruptDisable;
    expect(wire(rig)).toBeUndefined();
    rig.host.interrupt(IRQ.intx);
    expect(rig.host.intxMasked).toBe(true);
    rig.command &= ~COMMAND.interruptDisable;
    expect([wire(rig)!.fds.size, rig.host.intxMasked]).toEqual([1, false]);
  });

  test('a virtual function has no pin', () => {
    const rig = new PassedRig('igb-vf');
    expect([rig.fn.readConfig(0x3d, 1), wire(rig), rig.host.triggers[IRQ.intx]]).toEqual([0, undefined, []]);
  });

  test('without the kernel is asserted by the machine thread until the guest accesses its device', () => {
    const rig = new PassedRig('e1000e', { 'x-no-kvm-intx': true, 'x-intx-mmap-timeout-ms': 50 });
    const asserted = () => rig.machine.lines.some(line => line.level);
    rig.start();
    expect(rig.mapped(0)).toEqual([[0, 131072]]);
    rig.host.interrupt(IRQ.intx);
    rig.machine.eventFds.settle();
    expect([asserted(), rig.mapped(0), rig.host.intxMasked]).toEqual([true, [], true]);
    // Not before it has been handled.
    rig.machine.clock.advance(200);
    expect(rig.mapped(0)).toEqual([]);
    rig.read(0, 0xc0);
    expect([asserted(), rig.host.intxMasked]).toEqual([false, false]);
    rig.machine.clock.advance(51);
    expect(rig.mapped(0)).toEqual([[0, 131072]]);
    expect(rig.machine.clock.timers).toBe(0);
  });
});

describe('host events', () => {
  test('an uncorrectable error stops the machine once, with the reason', () => {
    const rig = new PassedRig('igb-vf');
    for (let times = 0; times < 2; times++) {
      rig.host.interrupt(IRQ.error);
      rig.machine.eventFds.settle();
    }
    expect(rig.machine.requests).toEqual([
      {
        kind: 'crash',
        reason: expect.stringContaining('an error of 0000:01:10.0 (hostdev0) that cannot be corrected'),
      },
    ]);
  });

  test('a request to release the device is passed to the guest, which loses it if it does not comply', () => {
    const rig = new PassedRig('igb');
    rig.start();
    const request = () => {
      rig.host.interrupt(IRQ.request);
      rig.machine.eventFds.settle();
    };
    for (let times = 0; times < 3; times++) request();
    expect(rig.machine.unplugs).toEqual(new Array(3).fill('hostdev0: the host wants 0000:01:00.0 back'));
    expect([rig.host.closed, rig.machine.broken]).toEqual([false, []]);
    request();
    expect(rig.machine.broken).toEqual([
      'hostdev0: the guest did not release it in time, and the host has 0000:01:00.0 again: detach it',
    ]);
    expect(rig.host.calls.slice(-2)).toEqual(['reset', 'close']);
    expect([rig.host.mapped, rig.host.triggers.flat()]).toEqual([[], []]);
    // The guest continues without it, whatever it does.
    const calls = rig.host.calls.length;
    expect([rig.fn.readConfig(0, 4), rig.bar(0).address]).toEqual([0xffff_ffff, null]);
    rig.fn.writeConfig(4, 2, 7);
    rig.machine.pci.assign();
    rig.device.quiesce(() => {});
    rig.device.reset();
    rig.device.resume();
    rig.device.close();
    expect([rig.host.calls.length, rig.machine.eventFds.counts.size]).toEqual([calls, 0]);
  });

  test('are not requested if the definition says so', () => {
    const rig = new PassedRig('igb-vf', { 'x-req': false });
    expect([rig.host.triggers[IRQ.error]!.length, rig.host.triggers[IRQ.request]]).toEqual([1, []]);
  });
});
