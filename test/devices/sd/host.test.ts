import { describe, expect, test } from 'vitest';
import { ERROR, INTERRUPT, MODE, REG, RESET } from '../../../src/devices/sd/host/registers.ts';
import { MANY, pattern, R1, R1B, SdRig } from '../../support/sd-rig.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const READ = MODE.read;
const { commandComplete, transferComplete, dma } = INTERRUPT;
const PRESENT = { dataInhibit: 2, inserted: 0x0007_0000, writable: 0x0008_0000 };
const stateOf = (status: number) => (status >>> 9) & 0xf;

describe('a driver finds', () => {
  test('a controller by its class, with one slot in BAR 0, of version 3', () => {
    const rig = new SdRig();
    const { config } = rig.host.pci!;
    expect(config.u32(8) >>> 8).toBe(0x08_05_01);
    expect(config.u8(0x40)).toBe(0);
    expect(rig.read(REG.version, 2) & 0xff).toBe(2);
    expect(rig.read(REG.capabilities)).toBe(0x1168_32b2);
    expect(rig.read(REG.presentState)).toBe(0x01ff_0000);
    expect(rig.host.facts).toEqual([{ label: 'slot', value: 'VRING' }]);
  });

  test('registers that keep their writable bits, at any width', () => {
    const rig = new SdRig(null);
    rig.write(REG.blockSize, 0xffff_ffff);
    expect(rig.read(REG.blockSize)).toBe(0xffff_7fff);
    rig.write(REG.blockSize + 1, 0x12, 1);
    expect(rig.read(REG.blockSize, 2)).toBe(0x12ff);
    rig.write(REG.clockControl, 0x0001_ffff);
    expect(rig.read(REG.clockControl, 2)).toBe(0xffe7);
    rig.write(REG.softwareReset, RESET.all, 1);
    expect([rig.read(REG.blockSize), rig.read(REG.clockControl)]).toEqual([0, 0]);
  });

  test('a card that is inserted and removed', () => {
    const rig = new SdRig(null).start();
    expect(rig.read(REG.presentState) & PRESENT.inserted).toBe(0x0002_0000);
    expect(rig.command(8, 0x1aa).errors).toBe(ERROR.commandTimeout);
    rig.insert(MiB);
    expect(rig.interrupt).toBe(true);
    expect(rig.acknowledge().normal).toBe(INTERRUPT.insertion);
    expect(rig.interrupt).toBe(false);
    expect(rig.read(REG.presentState) & PRESENT.inserted).toBe(PRESENT.inserted);
    rig.select();
    rig.command(17, 0, R1, { mode: READ });
    rig.host.bus!.detach!(rig.card!);
    rig.card!.device.close!();
    expect(rig.acknowledge()).toEqual({
      normal: INTERRUPT.removal | INTERRUPT.error,
      errors: ERROR.dataTimeout,
    });
    expect(rig.command(13, rig.address << 16).errors).toBe(ERROR.commandTimeout);
    rig.insert(4 * GiB);
    rig.select();
    expect(() => rig.insert(MiB)).toThrow('there is a card in the slot of sdhci0');
  });

  test('no response from a card without power or clock', () => {
    const rig = new SdRig().select();
    rig.write(REG.clockControl, 1, 2);
    expect(rig.command(13, rig.address << 16).errors).toBe(ERROR.commandTimeout);
    rig.write(REG.clockControl, 5, 2);
    expect(stateOf(rig.status())).toBe(4);
    rig.write(REG.powerControl, 0, 1);
    rig.write(REG.powerControl, 0xf, 1);
    expect(rig.command(13, rig.address << 16).errors).toBe(ERROR.commandTimeout);
  });
});

describe('interrupts', () => {
  test('are reported where enabled, signaled where enabled, and cleared by writing ones', () => {
    const rig = new SdRig().select();
    rig.write(REG.signalEnable, 0, 2);
    rig.write(REG.argument, rig.address << 16);
    rig.write(REG.command, (13 << 8) | R1, 2);
    expect([rig.read(REG.status, 2), rig.interrupt, rig.read(REG.slotInterrupts, 2)]).toEqual([1, false, 0]);
    rig.write(REG.signalEnable, commandComplete, 2);
    expect([rig.interrupt, rig.read(REG.slotInterrupts, 2)]).toEqual([true, 1]);
    rig.write(REG.status, transferComplete, 2);
    expect(rig.interrupt).toBe(true);
    rig.write(REG.status, commandComplete, 2);
    expect(rig.interrupt).toBe(false);
    rig.write(REG.statusEnable, 0, 2);
    rig.write(REG.command, (13 << 8) | R1, 2);
    expect(rig.read(REG.status, 2)).toBe(0);
  });

  test('can be forced, for tests of a driver', () => {
    const rig = new SdRig().start();
    rig.write(0x52, ERROR.dataCrc, 2);
    expect(rig.interrupt).toBe(true);
    expect(rig.acknowledge()).toEqual({ normal: INTERRUPT.error, errors: ERROR.dataCrc });
    rig.write(0x50, 0x02, 2);
    expect([rig.read(REG.autoCommandErrors, 2), rig.acknowledge().errors]).toEqual([2, ERROR.autoCommand]);
  });
});

describe.each([
  ['standard', 64 * MiB, 512],
  ['high', 4 * GiB, 1],
])('data transfer with a card of %s capacity', (_, size, unit) => {
  test('a block is read by PIO', () => {
    const rig = new SdRig(size).select();
    rig.fill(4);
    expect(rig.command(17, 2 * unit, R1, { mode: READ })).toEqual({ normal: commandComplete, errors: 0 });
    expect(rig.read(REG.presentState) & PRESENT.dataInhibit).toBe(PRESENT.dataInhibit);
    expect(rig.readPort(1)).toEqual(pattern(2, 1));
    expect(rig.acknowledge()).toEqual({ normal: transferComplete, errors: 0 });
    expect(rig.read(REG.presentState) & PRESENT.dataInhibit).toBe(0);
    expect(stateOf(rig.status())).toBe(4);
  });

  test('blocks are written by PIO, and are durable when the transfer is complete', () => {
    const rig = new SdRig(size).select();
    rig.command(25, 5 * unit, R1, { mode: MANY | MODE.autoCommand12, blocks: 3 });
    rig.writePort(pattern(9, 3));
    expect(rig.acknowledge().normal & transferComplete).toBe(0);
    rig.settle();
    expect(rig.acknowledge().normal).toBe(transferComplete);
    expect(rig.disk.port!.log.at(-1)).toBe('flush');
    expect(rig.disk.content.read(5 * 512, 3 * 512)).toEqual(pattern(9, 3));
    // The response of the command that has stopped it.
    expect(stateOf(rig.read(REG.response + 12))).toBe(6);
    rig.application(22, 0, R1, { mode: READ, blockSize: 4 });
    expect([...rig.readPort(1, 4)]).toEqual([0, 0, 0, 3]);
  });

  test('SDMA waits at its boundary until the driver sets an address', () => {
    const rig = new SdRig(size).select();
    rig.fill(24);
    rig.write(REG.systemAddress, 0x1_0e00);
    rig.command(18, 0, R1, { mode: READ | MANY | MODE.dma | MODE.autoCommand12, blocks: 16 });
    rig.settle();
    expect(rig.acknowledge()).toEqual({ normal: dma, errors: 0 });
    expect(rig.read(REG.systemAddress)).toBe(0x1_1000);
    expect(rig.memory.readable(0x1_0e00, 0x200)).toEqual(pattern(0, 1));
    rig.write(REG.systemAddress, 0x2_0000);
    expect(rig.acknowledge().normal).toBe(dma);
    rig.write(REG.systemAddress, 0x2_1000);
    expect(rig.acknowledge().normal).toBe(transferComplete);
    expect(rig.memory.readable(0x2_0000, 15 * 512)).toEqual(pattern(1, 15));
    expect(rig.read(REG.blockCount, 2)).toBe(0);
    // One that ends at a boundary is complete there.
    rig.write(REG.systemAddress, 0x3_0000);
    rig.command(25, 8 * unit, R1, { mode: MANY | MODE.dma | MODE.autoCommand12, blocks: 8 });
    rig.settle();
    expect(rig.acknowledge().normal).toBe(transferComplete);
    expect(rig.disk.content.read(8 * 512, 8 * 512)).toEqual(new Uint8Array(8 * 512));
  });

  test.each([
    ['32', 2, 8],
    ['64', 3, 12],
  ])('ADMA2 with addresses of %s bits follows a table', (_, select, bytes) => {
    const rig = new SdRig(size).select();
    rig.fill(400);
    rig.write(REG.hostControl, select << 3, 1);
    const table = (entries: readonly (readonly [number, number, number])[]) => {
      entries.forEach(([attributes, length, address], index) => {
        rig.memory.writeU32(0x1000 + index * bytes, attributes | (length << 16));
        rig.memory.writeU32(0x1004 + index * bytes, address);
        if (bytes === 12) rig.memory.writeU32(0x1008 + index * bytes, 0);
      });
      rig.write(REG.admaAddress, 0x1000);
      rig.write(REG.admaAddress + 4, 0);
    };
    table([
      [0x21, 100, 0x2000],
      [0x01, 0, 0],
      [0x31, 0, 0x1000 + 4 * bytes],
      [0x00, 0, 0],
      [0x25, 0, 0x3_0000],
      [0x23, 0xffff, 0x5_0000],
    ]);
    const { autoCommand12 } = MODE;
    rig.command(18, 10 * unit, R1, { mode: READ | MANY | MODE.dma | autoCommand12, blocks: 200 });
    rig.settle();
    expect(rig.acknowledge()).toEqual({ normal: transferComplete | dma, errors: 0 });
    const expected = pattern(10, 200);
    expect(rig.memory.readable(0x2000, 100)).toEqual(expected.subarray(0, 100));
    expect(rig.memory.readable(0x3_0000, 65_536)).toEqual(expected.subarray(100, 65_636));
    expect(rig.memory.readable(0x5_0000, 102_400 - 65_636)).toEqual(expected.subarray(65_636));
    // Writes work the same way, and without a count the table defines the end.
    rig.memory.writable(0x2000, 1024).set(pattern(77, 2));
    table([[0x23, 1024, 0x2000]]);
    rig.command(25, 0, R1, { mode: MODE.multiple | MODE.dma | autoCommand12 });
    rig.settle();
    expect(rig.acknowledge()).toEqual({ normal: transferComplete, errors: 0 });
    expect(rig.disk.content.read(0, 1536)).toEqual(Uint8Array.from([...pattern(77, 2), ...pattern(2, 1)]));
  });

  test('SET_BLOCK_COUNT, by the driver or by the controller, ends a transfer', () => {
    const rig = new SdRig(size).select();
    rig.fill(8);
    rig.command(23, 2);
    rig.command(18, 0, R1, { mode: READ | MANY, blocks: 2 });
    expect(rig.readPort(2)).toEqual(pattern(0, 2));
    expect(stateOf(rig.status())).toBe(4);
    rig.write(REG.systemAddress, 3);
    rig.command(18, unit, R1, { mode: READ | MANY | MODE.autoCommand23, blocks: 3 });
    expect(rig.readPort(3)).toEqual(pattern(1, 3));
    expect(stateOf(rig.status())).toBe(4);
    // It is only for the command that follows.
    rig.command(23, 2);
    rig.status();
    rig.command(18, 0, R1, { mode: READ | MANY, blocks: 2 });
    rig.readPort(2);
    expect(stateOf(rig.status())).toBe(5);
    expect(rig.command(12, 0, R1B).errors).toBe(0);
  });

  test('an open-ended transfer continues until it is stopped', () => {
    const rig = new SdRig(size).select();
    rig.fill(8);
    rig.command(18, 0, R1, { mode: READ | MODE.multiple });
    expect(rig.readPort(5)).toEqual(pattern(0, 5));
    rig.settle();
    rig.acknowledge();
    expect(rig.command(12, 0, R1B | 0xc0)).toEqual({ normal: commandComplete | transferComplete, errors: 0 });
    expect(rig.read(REG.presentState) & 0xf02).toBe(0);
    rig.command(25, 0, R1, { mode: MODE.multiple });
    rig.writePort(pattern(50, 2));
    rig.settle();
    rig.acknowledge();
    expect(rig.command(12, 0, R1B | 0xc0).normal).toBe(commandComplete);
    rig.settle();
    expect(rig.acknowledge().normal).toBe(transferComplete);
    expect(rig.disk.content.read(0, 1536)).toEqual(Uint8Array.from([...pattern(50, 2), ...pattern(2, 1)]));
  });
});

describe('errors', () => {
  test('reports failed reads, writes and flushes of the host', () => {
    const rig = new SdRig().select();
    rig.disk.port!.failures.push('host');
    rig.command(17, 0, R1, { mode: READ });
    rig.settle();
    expect(rig.acknowledge()).toEqual({ normal: INTERRUPT.error, errors: ERROR.dataTimeout });
    expect(rig.status() & 0x0008_0000).toBe(0x0008_0000);
    rig.command(12, 0, R1B);
    expect(stateOf(rig.status())).toBe(4);
    rig.command(24, 0, R1, {});
    rig.disk.port!.failures.push('host');
    rig.writePort(pattern(0, 1));
    rig.settle();
    expect(rig.acknowledge().errors).toBe(ERROR.dataTimeout);
    rig.command(12, 0, R1B);
    rig.settle();
    rig.acknowledge();
    expect(rig.status() & 0x0008_0000).toBe(0);
    rig.command(24, 0, R1, {});
    rig.writePort(pattern(0, 1));
    rig.disk.port!.step();
    rig.disk.port!.failures.push('host');
    rig.settle();
    expect(rig.acknowledge().normal).toBe(transferComplete);
    expect(rig.status() & 0x0008_0000).toBe(0x0008_0000);
  });

  test('reports a transfer past the end of the card', () => {
    const rig = new SdRig(MiB).select();
    rig.write(REG.systemAddress, 0x1_0000);
    rig.command(18, MiB - 1024, R1, { mode: READ | MANY | MODE.dma, blocks: 4, blockSize: 0x7200 });
    rig.settle();
    expect(rig.acknowledge().errors).toBe(ERROR.dataTimeout);
    expect(rig.status() >>> 31).toBe(1);
  });

  test('reports blocks of a wrong length, and a wrong direction', () => {
    const rig = new SdRig().select();
    expect(rig.command(17, 0, R1, { mode: READ, blockSize: 256 }).errors).toBe(ERROR.dataCrc);
    rig.command(12, 0, R1);
    expect(rig.command(17, 0, R1, {}).errors).toBe(ERROR.dataTimeout);
    rig.command(12, 0, R1);
    expect(rig.command(13, rig.address << 16, R1, { mode: READ }).errors).toBe(ERROR.dataTimeout);
    expect(rig.command(9, rig.address << 16, R1).errors).toBe(ERROR.commandTimeout);
  });

  test.each([
    ['a table that is a circle', [0x31, 0x1000], 1],
    ['a descriptor that is not valid', [0x20, 0], 1],
    ['memory that is none', [0x23, 0x7000_0000], 3],
    ['a table that is too short', [0x23, 0x2000], 7],
  ])('reports ADMA2 with %s', (_, [attributes, address], error) => {
    const rig = new SdRig().select();
    rig.write(REG.hostControl, 0x10, 1);
    rig.memory.writeU32(0x1000, attributes! | (512 << 16));
    rig.memory.writeU32(0x1004, address!);
    rig.write(REG.admaAddress, 0x1000);
    rig.command(18, 0, R1, { mode: READ | MANY | MODE.dma | MODE.autoCommand12, blocks: 2 });
    rig.settle();
    expect(rig.acknowledge()).toEqual({ normal: INTERRUPT.error, errors: ERROR.adma });
    expect(rig.read(REG.admaErrors, 1)).toBe(error);
    rig.write(REG.softwareReset, RESET.data | RESET.command, 1);
    rig.command(12, 0, R1B);
    expect(stateOf(rig.status())).toBe(4);
  });

  test('handles a driver that does not wait, and resets of the lines', () => {
    const rig = new SdRig().select();
    rig.command(17, 0, R1, { mode: READ });
    expect(rig.command(17, 0, R1, { mode: READ })).toEqual({ normal: 0, errors: 0 });
    rig.write(REG.softwareReset, RESET.data, 1);
    expect(rig.read(REG.presentState) & PRESENT.dataInhibit).toBe(0);
    rig.settle();
    expect(rig.read(REG.presentState) & 0x800).toBe(0);
    rig.write(REG.softwareReset, RESET.all, 1);
    rig.select();
  });

  test('continues a transfer that is stopped at a block gap', () => {
    const rig = new SdRig().select();
    rig.fill(4);
    rig.command(18, 0, R1, { mode: READ | MANY, blocks: 3 });
    const first = rig.readPort(1);
    rig.settle();
    rig.write(REG.blockGapControl, 1, 1);
    const second = rig.readPort(1);
    expect(rig.acknowledge().normal).toBe(transferComplete | INTERRUPT.blockGap);
    rig.write(REG.blockGapControl, 2, 1);
    expect(Uint8Array.from([...first, ...second, ...rig.readPort(1)])).toEqual(pattern(0, 3));
    expect(rig.acknowledge().normal).toBe(transferComplete);
  });
});

describe('a restored machine', () => {
  /** Continues a transfer that is in progress in another machine. */
  function continued(rig: SdRig, size: number): SdRig {
    rig.card!.device.quiesce!(() => {});
    const states = structuredClone([rig.host.device.save(), rig.card!.device.save()]);
    const next = new SdRig(size);
    next.address = rig.address;
    for (const block of [0, 1, 2, 3, 4, 5, 6, 7])
      next.disk.content.write(block * 512, rig.disk.content.read(block * 512, 512));
    const bytes = rig.memory.readable(0, MiB);
    next.memory.writable(0, MiB).set(bytes);
    next.card!.device.load(states[1]!);
    next.host.device.load(states[0]!);
    next.host.device.resume!();
    next.card!.device.resume!();
    return next;
  }

  test.each([0, 1])('continues a read by DMA after %i steps', steps => {
    const rig = new SdRig().select();
    rig.fill(8);
    rig.write(REG.systemAddress, 0x1_0000);
    rig.command(18, 512, R1, {
      mode: READ | MANY | MODE.dma | MODE.autoCommand12,
      blocks: 4,
      blockSize: 0x7200,
    });
    for (let step = 0; step < steps; step++) rig.disk.port!.step();
    const next = continued(rig, 64 * MiB);
    next.settle();
    expect(next.acknowledge()).toEqual({ normal: transferComplete, errors: 0 });
    expect(next.memory.readable(0x1_0000, 2048)).toEqual(pattern(1, 4));
  });

  test('continues a block that the driver is reading, and one that it is writing', () => {
    const rig = new SdRig().select();
    rig.fill(8);
    rig.command(18, 0, R1, { mode: READ | MANY | MODE.autoCommand12, blocks: 2 });
    rig.settle();
    rig.acknowledge();
    const bytes: number[] = [];
    for (let at = 0; at < 300; at++) bytes.push(rig.read(REG.bufferData, 1));
    let next = continued(rig, 64 * MiB);
    for (let at = 300; at < 512; at++) bytes.push(next.read(REG.bufferData, 1));
    expect([...bytes, ...next.readPort(1)]).toEqual([...pattern(0, 2)]);
    next.acknowledge();
    next.command(24, 0, R1, {});
    for (const byte of pattern(60, 1).subarray(0, 100)) next.write(REG.bufferData, byte, 1);
    next = continued(next, 64 * MiB);
    for (const byte of pattern(60, 1).subarray(100)) next.write(REG.bufferData, byte, 1);
    next = continued(next, 64 * MiB);
    next.settle();
    expect(next.disk.content.read(0, 512)).toEqual(pattern(60, 1));
    expect(next.acknowledge().normal).toBe(transferComplete);
  });

  test('continues an erasure', () => {
    const rig = new SdRig().select();
    rig.command(32, 0);
    rig.command(33, 3 * MiB - 512);
    rig.command(38, 0, R1B);
    rig.disk.port!.step();
    const next = continued(rig, 64 * MiB);
    next.settle();
    expect(next.disk.port!.log).toEqual([`write ${MiB} ${MiB}`, `write ${2 * MiB} ${MiB}`, 'flush']);
    expect(next.acknowledge().normal).toBe(transferComplete);
  });

  test('a resumed machine does not request anything twice', () => {
    const rig = new SdRig().select();
    rig.command(17, 0, R1, { mode: READ });
    rig.card!.device.quiesce!(() => {});
    rig.host.device.resume!();
    rig.card!.device.resume!();
    rig.readPort(1);
    expect(rig.disk.port!.log).toEqual(['read 0 512']);
  });
});
