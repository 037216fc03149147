import { describe, expect, test } from 'vitest';
import { PORT_CMD, PORT_IRQ } from '../../../src/devices/storage/ahci/registers.ts';
import { Random } from '../../support/random.ts';
import { AhciRig, DATA, RECEIVED, TABLES } from './ahci-driver.ts';

const READ_DMA_EXT = 0x25;
const WRITE_DMA_EXT = 0x35;
const READ_FPDMA = 0x60;
const WRITE_FPDMA = 0x61;
const READ_SECTORS = 0x20;
const IDENTIFY = 0xec;

const words = (bytes: Uint8Array) => new Uint16Array(bytes.slice(0, 512).buffer);
const text = (of: Uint16Array, from: number, to: number) =>
  [...of.slice(from, to)]
    .map(word => String.fromCharCode(word >> 8, word & 0xff))
    .join('')
    .trim();

describe('the registers of an AHCI controller', () => {
  test('report its capabilities, and the drives on its ports', () => {
    const rig = new AhciRig();
    expect(rig.controller.pci!.readConfig(0, 4)).toBe(0x2922_8086);
    expect(rig.read(0x00)).toBe(0xc134_9f05);
    expect(rig.read(0x0c)).toBe(0x3f);
    expect(rig.read(0x10)).toBe(0x0001_0301);
    expect([rig.port('ssts'), rig.port('sig'), rig.port('tfd')]).toEqual([0x133, 0x0000_0101, 0x0150]);
    expect([rig.port('ssts', 1), rig.port('sig', 1), rig.port('tfd', 1)]).toEqual([0, 0xffff_ffff, 0x7f]);
    expect(new AhciRig('sata-cd').port('sig')).toBe(0xeb14_0101);
  });

  test('can be accessed by an index and data register', () => {
    const rig = new AhciRig();
    const io = rig.controller.pci!.bars.find(({ index }) => index === 4)!.address!;
    rig.machine.ports.write(io + 0x10, 4, 0x10);
    expect(rig.machine.ports.read(io + 0x14, 4)).toBe(0x0001_0301);
    rig.machine.ports.write(io + 0x10, 4, 0x04);
    rig.machine.ports.write(io + 0x14, 4, 0x8000_0002);
    expect(rig.read(0x04)).toBe(0x8000_0002);
  });

  test('spin drives up one by one', () => {
    const rig = new AhciRig('sata-hd', { 'staggered-spin-up': true });
    expect(rig.read(0x00) & (1 << 27)).not.toBe(0);
    expect([rig.port('ssts'), rig.port('cmd') & PORT_CMD.spinUp]).toEqual([0, 0]);
    rig.setPort('cmd', PORT_CMD.spinUp);
    expect([rig.port('ssts'), rig.port('sig')]).toEqual([0x133, 0x101]);
  });
});

describe('a command of an AHCI port', () => {
  test('identifies the disk by PIO', () => {
    const rig = new AhciRig();
    rig.start();
    expect(rig.run({ command: IDENTIFY })).toEqual({ status: 0x50, error: 0 });
    const identity = words(rig.data(512));
    expect(text(identity, 10, 20)).toBe('sata-hd0');
    expect(text(identity, 27, 47)).toBe('VRING HARDDISK');
    expect(identity[100]! + identity[101]! * 2 ** 16).toBe(rig.disk.size / 512);
    expect(rig.data(512).reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    expect(rig.port('is')).toBe(PORT_IRQ.pioSetup);
    expect(rig.port('ci')).toBe(0);
    // PIO setup: to the host, with the end status and the count.
    expect([...rig.data(20, RECEIVED + 0x20)]).toEqual([
      ...[0x5f, 0x60, 0x58, 0, 0, 0, 0, 0x40],
      ...[0, 0, 0, 0, 0, 0, 0, 0x50, 0, 2, 0, 0],
    ]);
  });

  test('reads and writes scattered memory, and reports the count', () => {
    const rig = new AhciRig();
    rig.start();
    rig.disk.content.write(8 * 512, new Uint8Array(1024).fill(0x5a));
    const data = [
      { address: DATA, length: 2 },
      { address: DATA + 0x100, length: 1022 },
      { address: DATA + 0x1000, length: 512 },
    ];
    expect(rig.run({ command: READ_DMA_EXT, lba: 8, count: 3, data })).toEqual({ status: 0x50, error: 0 });
    expect([rig.data(2)[1], rig.data(1, DATA + 0x100 + 1021)[0], rig.data(1, DATA + 0x1000)[0]]).toEqual([
      0x5a, 0x5a, 0,
    ]);
    expect(rig.machine.memory.readU32(0x1_0004)).toBe(1536);
    expect(rig.port('is')).toBe(PORT_IRQ.registerFis);
    rig.machine.memory.writable(DATA, 512).fill(7);
    rig.run({ command: WRITE_DMA_EXT, lba: 2 ** 16, count: 1, flags: 0x40 });
    expect(rig.disk.content.read(2 ** 16 * 512, 512)[511]).toBe(7);
    rig.run({ command: 0xea });
    expect(rig.disk.port!.log).toEqual(['read 4096 1536', `write ${2 ** 25} 512`, 'flush']);
  });

  test('interrupts by its pin until cleared, or by messages', () => {
    const rig = new AhciRig();
    const level = () => rig.machine.lines.some(line => line.level);
    rig.start();
    rig.run({ command: READ_DMA_EXT, count: 1 });
    expect([level(), rig.read(0x08)]).toEqual([true, 1]);
    rig.write(0x08, 1);
    expect([level(), rig.read(0x08)]).toEqual([true, 1]);
    rig.setPort('is', 0xffff_ffff);
    rig.write(0x08, 1);
    expect([level(), rig.read(0x08)]).toEqual([false, 0]);
  });

  test('that is queued completes in any order, and the others stay active', () => {
    const rig = new AhciRig();
    rig.start();
    for (const slot of [0, 3, 31]) {
      const data = [{ address: DATA + slot * 0x1000, length: 4096 }];
      rig.fill(slot, { command: READ_FPDMA, lba: 8 * slot, features: 8, count: slot << 3, data });
    }
    rig.setPort('sact', 0x8000_0009);
    rig.setPort('ci', 0x8000_0009);
    expect([rig.port('ci'), rig.port('sact')]).toEqual([0, 0x8000_0009]);
    expect(rig.disk.port!.log).toEqual(['read 0 4096', 'read 12288 4096', 'read 126976 4096']);
    rig.disk.port!.step();
    expect(rig.port('sact')).toBe(0x8000_0008);
    expect([...rig.data(8, RECEIVED + 0x58)]).toEqual([0xa1, 0x40, 0x50, 0, 1, 0, 0, 0]);
    rig.settle();
    expect([rig.port('sact'), rig.port('is')]).toEqual([0, PORT_IRQ.setDeviceBits]);
  });

  test('that is not queued waits for queued ones', () => {
    const rig = new AhciRig();
    rig.start();
    rig.fill(0, { command: WRITE_FPDMA, features: 8, count: 0 });
    rig.fill(1, { command: READ_DMA_EXT, count: 1 });
    rig.setPort('sact', 1);
    rig.setPort('ci', 3);
    expect(rig.disk.port!.log).toHaveLength(1);
    rig.settle();
    expect(rig.disk.port!.log).toHaveLength(2);
    expect(rig.port('ci')).toBe(0);
  });
});

describe('errors of an AHCI port', () => {
  test('stop the command list until it is restarted', () => {
    const rig = new AhciRig();
    rig.start();
    expect(rig.run({ command: READ_DMA_EXT, lba: 2 ** 40, count: 1 })).toEqual({ status: 0x51, error: 0x10 });
    expect(rig.port('is')).toBe((PORT_IRQ.registerFis | PORT_IRQ.taskFileError) >>> 0);
    expect(rig.port('ci')).toBe(1);
    rig.fill(1, { command: READ_DMA_EXT, count: 1 });
    rig.setPort('ci', 2);
    expect(rig.disk.port!.log).toEqual([]);
    rig.setPort('cmd', PORT_CMD.fisReceive);
    expect([rig.port('ci'), rig.port('cmd') & PORT_CMD.listRunning]).toEqual([0, 0]);
    rig.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
    expect(rig.run({ command: READ_DMA_EXT, count: 1 })).toEqual({ status: 0x50, error: 0 });
  });

  test('of a queued command are logged, and the others are aborted', () => {
    const rig = new AhciRig();
    rig.start();
    for (const slot of [2, 5])
      rig.fill(slot, { command: READ_FPDMA, features: 8, lba: 64, count: slot << 3 });
    rig.setPort('sact', 0x24);
    rig.setPort('ci', 0x24);
    rig.disk.port!.failures.push('host');
    rig.settle();
    expect([rig.port('sact'), rig.port('tfd')]).toEqual([0x24, 0x4051]);
    expect(rig.port('is')).toBe((PORT_IRQ.setDeviceBits | PORT_IRQ.taskFileError) >>> 0);
    expect(rig.disk.port!.pending).toBe(0);
    rig.setPort('cmd', PORT_CMD.fisReceive);
    rig.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
    rig.run({ command: 0x2f, lba: 0x10, count: 1 });
    expect([...rig.data(5)]).toEqual([2, 0, 0x51, 0x40, 64]);
  });

  test('of memory are fatal, wherever they occur', () => {
    const bad = 2 ** 40;
    const outcomes = [
      (rig: AhciRig) => rig.setPort('clb', 0xffff_fc00),
      (rig: AhciRig) => rig.machine.memory.writeU32(0x1_0008, 0xffff_ff80),
      (rig: AhciRig) => rig.machine.memory.writeU64(TABLES + 0x80, BigInt(bad)),
      (rig: AhciRig) => rig.machine.memory.writeU64(TABLES + 0x80, 0xffff_ffff_ffff_fffen),
      (rig: AhciRig) => rig.controller.pci!.writeConfig(4, 2, 2),
    ].map(spoil => {
      const rig = new AhciRig();
      rig.start();
      rig.fill(0, { command: READ_DMA_EXT, count: 1 });
      spoil(rig);
      rig.setPort('ci', 1);
      rig.settle();
      return rig.port('is') & PORT_IRQ.hostBusFatal;
    });
    expect(outcomes).toEqual(outcomes.map(() => PORT_IRQ.hostBusFatal));
  });

  test('report an overflow', () => {
    const rig = new AhciRig();
    rig.start();
    const data = [{ address: DATA, length: 512 }];
    expect(rig.run({ command: READ_DMA_EXT, count: 2, data })).toEqual({ status: 0x51, error: 0x04 });
    expect(rig.port('is') & PORT_IRQ.overflow).not.toBe(0);
    expect(rig.disk.port!.log).toEqual([]);
  });
});

describe('resets', () => {
  test('of the port abort its commands once the host has finished them', () => {
    const rig = new AhciRig();
    rig.start();
    rig.fill(0, { command: READ_DMA_EXT, count: 1 });
    rig.setPort('ci', 1);
    rig.disk.port!.hangs = true;
    rig.setPort('cmd', PORT_CMD.fisReceive);
    expect([rig.port('ci'), rig.port('cmd') & PORT_CMD.listRunning]).toEqual([0, PORT_CMD.listRunning]);
    rig.setPort('sctl', 1);
    expect([rig.port('ssts'), rig.port('tfd')]).toEqual([1, 0x7f]);
    rig.disk.port!.release();
    expect(rig.port('cmd') & PORT_CMD.listRunning).toBe(0);
    rig.disk.port!.hangs = false;
    rig.setPort('sctl', 0);
    expect([rig.port('ssts'), rig.port('sig'), rig.port('serr')]).toEqual([0x133, 0x101, 0x0401_0000]);
    expect(rig.port('is') & PORT_IRQ.connectChange).not.toBe(0);
    expect([...rig.data(4, RECEIVED + 0x40)]).toEqual([0x34, 0, 0x50, 1]);
    rig.setPort('serr', 0xffff_ffff);
    expect(rig.port('is') & PORT_IRQ.connectChange).toBe(0);
  });

  test('by software consist of two FISes', () => {
    const rig = new AhciRig('sata-cd');
    rig.start();
    const control = (value: number) => {
      rig.fill(0, { command: 0 });
      rig.machine.memory.writable(TABLES + 1, 1)[0] = 0;
      rig.machine.memory.writable(TABLES + 15, 1)[0] = value;
      rig.setPort('ci', 1);
    };
    control(4);
    rig.fill(1, { command: IDENTIFY });
    rig.setPort('ci', 2);
    expect(rig.port('ci')).toBe(2);
    rig.setPort('cmd', PORT_CMD.fisReceive);
    rig.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
    control(0);
    expect([rig.port('tfd'), rig.port('sig'), rig.port('ci')]).toEqual([0x0100, 0xeb14_0101, 0]);
  });

  test('of the controller reset all ports', () => {
    const rig = new AhciRig();
    rig.start();
    rig.fill(0, { command: READ_DMA_EXT, count: 1 });
    rig.setPort('ci', 1);
    rig.disk.port!.hangs = true;
    rig.write(0x04, 0x8000_0001);
    expect(rig.read(0x04) & 1).toBe(1);
    rig.disk.port!.release();
    expect(rig.read(0x04)).toBe(0x8000_0000);
    expect([rig.port('clb'), rig.port('ssts'), rig.port('cmd')]).toEqual([0, 0x133, 0x06]);
  });
});

describe('packets', () => {
  test('read a CD, and fail with sense data', () => {
    const rig = new AhciRig('sata-cd');
    rig.start();
    rig.disk.content.write(16 * 2048, new TextEncoder().encode('\x01CD001'));
    const packet = (...bytes: number[]) =>
      rig.run({ command: 0xa0, features: 1, packet: [...bytes, ...new Array(12 - bytes.length).fill(0)] });
    // It reports that it has been powered on.
    expect(packet(0)).toEqual({ status: 0x51, error: 0x64 });
    const restart = () => {
      rig.setPort('cmd', PORT_CMD.fisReceive);
      rig.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
    };
    restart();
    expect(packet(3, 0, 0, 0, 18)).toEqual({ status: 0x50, error: 0 });
    expect([rig.data(18)[2], rig.data(18)[12]]).toEqual([6, 0x29]);
    expect(packet(0x28, 0, 0, 0, 0, 16, 0, 0, 1)).toEqual({ status: 0x50, error: 0 });
    expect(new TextDecoder().decode(rig.data(6))).toBe('\x01CD001');
    expect(packet(0x28, 0, 0, 0xff, 0xff, 0, 0, 0, 1)).toEqual({ status: 0x51, error: 0x54 });
  });
});

test('a medium that is removed during a command fails it', () => {
  const rig = new AhciRig('sata-cd');
  rig.start();
  const read = { command: 0xa0, features: 1, packet: [0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0] };
  rig.run(read);
  rig.setPort('cmd', PORT_CMD.fisReceive);
  rig.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
  rig.fill(0, read);
  rig.setPort('ci', 1);
  expect(rig.port('tfd') & 0x80).toBe(0x80);
  rig.drive.capabilities!.disk!.drive!.change(null, true);
  expect(rig.port('tfd')).toBe(0x3451);
});

describe('a drive that is plugged or unplugged while its driver runs', () => {
  const CONNECT = 1 << 6;
  const PHY_READY = 1 << 22;
  const EXCHANGED = 1 << 26;
  const PHY_CHANGE = 1 << 16;

  const pulledOut = () => {
    const rig = new AhciRig();
    rig.start();
    rig.setPort('is', 0xffff_ffff);
    rig.controller.bus!.detach!(rig.drive);
    return rig;
  };

  test('brings the link up, with an interrupt', () => {
    const rig = pulledOut();
    const status = { ssts: rig.port('ssts'), tfd: rig.port('tfd'), sig: rig.port('sig') };
    expect(status).toEqual({ ssts: 0, tfd: 0x7f, sig: 0xffff_ffff });
    expect([rig.port('serr'), rig.port('is') & (PHY_READY | CONNECT)]).toEqual([PHY_CHANGE, PHY_READY]);
    rig.setPort('serr', 0xffff_ffff);
    rig.setPort('is', 0xffff_ffff);

    const { bus } = rig.controller;
    expect(bus!.units!.free()).toEqual({ unit: 0, function: 0 });
    bus!.attach(rig.drive, { unit: 0, function: 0 });
    expect(rig.port('serr')).toBe(0);
    expect(bus!.units!.announce(rig.drive)).toBe(true);
    expect([rig.port('ssts'), rig.port('sig'), rig.port('serr')]).toEqual([
      ...[0x133, 0x101, (EXCHANGED | PHY_CHANGE) >>> 0],
    ]);
    expect(rig.port('is') & (PHY_READY | CONNECT)).toBe(PHY_READY | CONNECT);
    expect(rig.read(0x08)).toBe(1);
    expect(bus!.units!.free()).toEqual({ unit: 1, function: 0 });

    // As a driver does that resets the link then.
    rig.setPort('cmd', PORT_CMD.fisReceive);
    rig.setPort('sctl', 1);
    rig.setPort('sctl', 0);
    rig.setPort('serr', 0xffff_ffff);
    rig.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
    expect(rig.run({ command: IDENTIFY })).toEqual({ status: 0x50, error: 0 });
  });

  test('is not signaled to a driver that has interrupts disabled', () => {
    const rig = pulledOut();
    rig.setPort('ie', 0);
    rig.controller.bus!.attach(rig.drive, { unit: 0, function: 0 });
    expect(rig.controller.bus!.units!.announce(rig.drive)).toBe(false);
    expect(rig.port('ssts')).toBe(0x133);
  });

  test('is found later if its port is stopped', () => {
    const rig = pulledOut();
    rig.setPort('sctl', 4);
    rig.controller.bus!.attach(rig.drive, { unit: 0, function: 0 });
    expect(rig.controller.bus!.units!.announce(rig.drive)).toBe(false);
    expect(rig.port('ssts')).toBe(4);
    rig.setPort('sctl', 0);
    expect([rig.port('ssts'), rig.port('sig')]).toEqual([0x133, 0x101]);
  });

  test('aborts its commands, and does not block a reset of the controller', () => {
    const rig = new AhciRig();
    rig.start();
    rig.fill(0, { command: READ_FPDMA, lba: 8, features: 8, count: 0 });
    rig.setPort('sact', 1);
    rig.setPort('ci', 1);
    expect(rig.disk.port!.pending).toBe(1);
    rig.disk.port!.hangs = true;
    rig.write(0x04, 0x8000_0001);
    expect(rig.read(0x04)).toBe(0x8000_0001);
    rig.controller.bus!.detach!(rig.drive);
    expect(rig.read(0x04)).toBe(0x8000_0000);
    rig.disk.port!.release();
    rig.disk.port!.hangs = false;
    rig.settle();
    expect([rig.port('ssts'), rig.port('sact'), rig.port('is') & 0x8]).toEqual([0, 0, 0]);
    // A different drive is rejected.
    rig.controller.bus!.attach(rig.drive, { unit: 0, function: 0 });
    rig.start();
    expect(rig.run({ command: IDENTIFY })).toEqual({ status: 0x50, error: 0 });
  });

  test('does not keep its command list from stopping', () => {
    const rig = new AhciRig();
    rig.start();
    rig.fill(0, { command: READ_FPDMA, lba: 8, features: 8, count: 0 });
    rig.setPort('sact', 1);
    rig.setPort('ci', 1);
    rig.disk.port!.hangs = true;
    rig.setPort('cmd', PORT_CMD.fisReceive);
    expect(rig.port('cmd') & PORT_CMD.listRunning).not.toBe(0);
    rig.controller.bus!.detach!(rig.drive);
    expect(rig.port('cmd') & PORT_CMD.listRunning).toBe(0);
  });
});

describe('a state with commands in progress', () => {
  test('continues in another controller', () => {
    const rig = new AhciRig();
    rig.start();
    rig.fill(0, { command: READ_FPDMA, lba: 8, features: 8, count: 0 });
    rig.setPort('sact', 1);
    rig.setPort('ci', 1);
    rig.drive.device.quiesce!(() => {});
    const states = [rig.controller.device.save(), rig.drive.device.save()] as const;
    const other = new AhciRig();
    other.machine.memory.writable(0, 2 ** 20).set(rig.machine.memory.readable(0, 2 ** 20));
    other.disk.content.write(8 * 512, new Uint8Array(4096).fill(3));
    other.drive.device.quiesce!(() => {});
    other.controller.device.load(structuredClone(states[0]));
    other.drive.device.load(structuredClone(states[1]));
    other.controller.device.resume!();
    other.drive.device.resume!();
    expect(other.port('sact')).toBe(1);
    other.settle();
    expect([other.port('sact'), other.data(4096)[4095]]).toEqual([0, 3]);
    // The first one continues as well, without doing anything twice.
    rig.controller.device.resume!();
    rig.drive.device.resume!();
    rig.settle();
    expect([rig.port('sact'), rig.disk.port!.log]).toEqual([0, ['read 4096 4096']]);
  });
});

describe('a hostile guest', () => {
  test.each([1, 2, 3, 4, 5, 6])('does no harm with random registers and tables (%i)', seed => {
    const random = new Random(seed);
    const rig = new AhciRig(seed % 2 === 0 ? 'sata-hd' : 'sata-cd');
    rig.start();
    const { memory } = rig.machine;
    let requests = 0;
    for (let step = 0; step < 4000; step++) {
      switch (random.below(10)) {
        case 0:
          rig.write(
            random.below(0x1000) & ~3,
            random.pick([random.u32(), 0, 0xffff_ffff, 1 << random.below(32)]),
          );
          break;
        case 1:
          rig.machine.memoryBus.write(
            rig.controller.pci!.bars.find(({ index }) => index === 5)!.address! + random.below(0x200),
            random.pick([1, 2]),
            random.below(256),
          );
          break;
        case 2:
          rig.read(random.below(0x1000) & ~3);
          break;
        case 3:
          memory.writeU32(random.pick([0x1_0000, TABLES]) + 4 * random.below(0x100), random.u32());
          break;
        case 4:
          rig.disk.port!.failures.push(...(random.below(20) === 0 ? (['host'] as const) : []));
          rig.disk.port!.step();
          break;
        case 5:
          rig.settle();
          break;
        case 6:
          rig.setPort('cmd', 0);
          if (random.below(2) === 0) rig.setPort('sctl', 1);
          rig.setPort('sctl', 0);
          if (random.below(4) === 0) rig.write(0x04, 0x8000_0001);
          rig.start();
          break;
        default: {
          const slot = random.below(32);
          rig.fill(slot, {
            command: random.pick([
              READ_DMA_EXT,
              WRITE_DMA_EXT,
              READ_FPDMA,
              WRITE_FPDMA,
              READ_SECTORS,
              0xa0,
              0x06,
              random.below(256),
            ]),
            features: random.pick([1, 8, random.below(2 ** 16)]),
            count: random.pick([slot << 3, 1, 8, random.below(2 ** 16)]),
            lba: random.pick([0, 8, random.below(2 ** 17), random.u32() * 2 ** 16]),
            data: Array.from({ length: random.below(6) }, () => ({
              address: random.pick([DATA, DATA + random.below(4096), random.u32(), 2 ** 20 - 512]),
              length: random.pick([512, 4096, 1 + random.below(2 ** 22)]),
            })),
            packet: random.pick([
              [0x28, 0, 0, 0, 0, random.below(64), 0, 0, random.below(4), 0, 0, 0],
              Array.from({ length: 12 }, () => random.pick([0, 0x1b, 0x43, 0x4a, 0xbe, random.below(256)])),
            ]),
          });
          rig.setPort('sact', (1 << slot) >>> 0);
          rig.setPort('ci', (1 << slot) >>> 0);
        }
      }
      requests = Math.max(requests, rig.disk.port!.log.length);
    }
    // Positive control: its commands reached the disk, and a new driver finds everything in order.
    expect(requests).toBeGreaterThan(seed % 2 === 0 ? 20 : 3);
    rig.settle();
    rig.controller.pci!.writeConfig(4, 2, 6);
    rig.write(0x04, 0x8000_0001);
    rig.settle();
    expect(rig.read(0x04)).toBe(0x8000_0000);
    rig.start();
    const command = rig.port('sig') === 0x101 ? IDENTIFY : 0xa1;
    expect(rig.run({ command })).toEqual({ status: 0x50, error: 0 });
    expect(rig.data(512).reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  });
});
