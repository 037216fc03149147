import { beforeEach, describe, expect, test } from 'vitest';
import type { AnyConfigurable } from '../../../src/devices/device-table.ts';
import { frameCheck } from '../../../src/devices/net/ethernet.ts';
import {
  ACTION,
  BLOCK,
  COMMAND,
  COMPLETE,
  CSR,
  CU,
  CU_COMMAND,
  DEFAULT_CONFIG,
  FLEXIBLE,
  MASK,
  OK,
  PORT,
  RFD,
  RU,
  RU_COMMAND,
  STAT,
  TCB,
} from '../../../src/devices/net/i8255x/registers.ts';
import { i82551, i82557b, i82559er } from '../../../src/devices/net/i8255x/rows.ts';
import { REG as PCI } from '../../../src/devices/pci/registers.ts';
import { BROADCAST_BYTES, frameTo, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';
import { Random } from '../../support/random.ts';

const BLOCKS = 0x1000;
const FRAMES = 0x4000;
const FRAME_ROOM = 1600;
const PACKETS = 0x8_0000;

/** A driver of the card, as Linux's is. */
class Driver {
  readonly rig: NicRig;
  /** Where the next action command goes. */
  #block = BLOCKS;
  #packet = PACKETS;

  constructor(row: AnyConfigurable = i82559er) {
    this.rig = new NicRig(row);
  }

  get memory() {
    return this.rig.memory;
  }

  scb(command: number, pointer = 0): void {
    this.rig.out(CSR.scbPointer, 4, pointer);
    this.rig.out(CSR.scbCommand, 1, command);
    expect(this.rig.in(CSR.scbCommand, 1)).toBe(0);
  }

  get states(): { cu: number; ru: number } {
    const status = this.rig.in(CSR.scbStatus, 1);
    return { cu: status >> 6, ru: (status >> 2) & 0xf };
  }

  /** Adds an action command with these bytes behind its link. @returns its address */
  add(command: number, data: Uint8Array = new Uint8Array()): number {
    const at = this.#block;
    const size = (BLOCK.data + data.length + 15) & ~15;
    this.#block += size;
    this.memory.writeU32(at, command << 16);
    this.memory.writeU32(at + BLOCK.link, this.#block);
    this.memory.writable(at + BLOCK.data, data.length).set(data);
    return at;
  }

  /** Carries out one command. @returns its status */
  run(command: number, data?: Uint8Array): number {
    const at = this.add(command | COMMAND.endOfList, data);
    this.scb(CU_COMMAND.start << 4, at);
    return this.memory.readU16(at);
  }

  simplified(frame: Uint8Array, command = 0): number {
    const data = new Uint8Array(TCB.data - BLOCK.data + frame.length);
    const view = new DataView(data.buffer);
    view.setUint32(0, 0xffff_ffff, true);
    view.setUint32(4, frame.length | 0x8000, true);
    data.set(frame, 8);
    return this.add(ACTION.transmit | command, data);
  }

  flexible(parts: readonly Uint8Array[], command = 0, inside = 0): number {
    const array = this.#packet;
    this.#packet += 8 * parts.length;
    const data = new Uint8Array(TCB.data - BLOCK.data + 8 * inside);
    const at = this.add(ACTION.transmit | FLEXIBLE | command, data);
    parts.forEach((part, index) => {
      const descriptor = index < inside ? at + TCB.data + 8 * index : array + 8 * (index - inside);
      this.memory.writeU32(descriptor, this.place(part));
      this.memory.writeU32(descriptor + 4, part.length);
    });
    this.memory.writeU32(at + TCB.tbdArray, array);
    this.memory.writeU32(at + TCB.count, parts.length << 24);
    return at;
  }

  place(bytes: Uint8Array): number {
    const at = this.#packet;
    this.#packet += bytes.length;
    this.memory.writable(at, bytes.length).set(bytes);
    return at;
  }

  configure(changes: Readonly<Record<number, number>>): void {
    const bytes = DEFAULT_CONFIG.slice();
    for (const [index, value] of Object.entries(changes)) bytes[Number(index)] = value;
    expect(this.run(ACTION.configure, bytes)).toBe(COMPLETE | OK);
  }

  /** Receive frame descriptors, whose last ends the list. */
  startReceive(
    count: number,
    { room = FRAME_ROOM, lastRoom = FRAME_ROOM, last = COMMAND.endOfList as number } = {},
  ): void {
    for (let index = 0; index < count; index++) {
      const at = this.rfd(index);
      const isLast = index === count - 1;
      this.memory.writeU32(at, isLast ? last << 16 : 0);
      this.memory.writeU32(at + BLOCK.link, this.rfd(index + 1));
      this.memory.writeU32(at + RFD.actualCount, (isLast ? lastRoom : room) << 16);
    }
    this.scb(RU_COMMAND.start, FRAMES);
  }

  rfd(index: number): number {
    return FRAMES + index * (RFD.data + FRAME_ROOM);
  }

  /** What is in a descriptor; null: it is not complete. */
  received(index: number): { status: number; bytes: Uint8Array } | null {
    const at = this.rfd(index);
    const status = this.memory.readU16(at);
    if ((status & COMPLETE) === 0) return null;
    const count = this.memory.readU16(at + RFD.actualCount);
    expect(count & 0xc000).toBe(0xc000);
    return { status, bytes: this.memory.readable(at + RFD.data, count & 0x3fff).slice() };
  }

  causes(): number {
    const causes = this.rig.in(CSR.statAck, 1);
    this.rig.out(CSR.statAck, 1, causes);
    return causes;
  }
}

let driver: Driver;
let rig: NicRig;
beforeEach(() => {
  driver = new Driver();
  rig = driver.rig;
});

test.each([
  [i82551, 0x1209, 0x10],
  [i82557b, 0x1229, 0x02],
  [i82559er, 0x1209, 0x09],
])('$0.type has its IDs', (row, device, revision) => {
  const { config } = new NicRig(row).built.pci!;
  expect([config.u16(PCI.vendor), config.u16(PCI.device), config.u8(PCI.revision)]).toEqual([
    ...[0x8086, device, revision],
  ]);
});

test('the registers are also in memory space', () => {
  const base = rig.built.pci!.bars[0]!.address!;
  rig.out(CSR.scbPointer, 4, 0x1234_5678);
  expect(rig.machine.memoryBus.read(base + CSR.scbPointer, 4)).toBe(0x1234_5678);
});

test('the EEPROM has the address, and its words sum to 0xBABA', () => {
  const clock = (bit: number) => {
    rig.out(CSR.eepromControl, 2, 0x2 | (bit << 2));
    rig.out(CSR.eepromControl, 2, 0x3 | (bit << 2));
    return (rig.in(CSR.eepromControl, 2) >> 3) & 1;
  };
  const read = (address: number) => {
    rig.out(CSR.eepromControl, 2, 0x2);
    for (const bit of [1, 1, 0]) clock(bit);
    for (let bit = 5; bit >= 0; bit--) clock((address >> bit) & 1);
    let word = 0;
    for (let bit = 0; bit < 16; bit++) word = (word << 1) | clock(0);
    rig.out(CSR.eepromControl, 2, 0);
    return word;
  };
  expect([read(0), read(1), read(2)]).toEqual([0x5452, 0x1200, 0x5634]);
  const sum = Array.from({ length: 64 }, (_, address) => read(address)).reduce(
    (total, word) => total + word,
    0,
  );
  expect(sum & 0xffff).toBe(0xbaba);
});

test('the PHY is an 82555, with a link while the cable is plugged in', () => {
  // Drivers wait for that before their first access.
  expect(rig.in(CSR.mdiControl, 4)).toBe(0x1000_0000);
  const mdi = (register: number, phy = 1) => {
    rig.out(CSR.mdiControl, 4, ((2 << 26) | (phy << 21) | (register << 16)) >>> 0);
    const value = rig.in(CSR.mdiControl, 4);
    expect(value & 0x1000_0000).toBe(0x1000_0000);
    return value & 0xffff;
  };
  expect([mdi(2), mdi(3), mdi(1) & 4, mdi(1, 2)]).toEqual([0x02a8, 0x0154, 4, 0xffff]);
  expect(rig.in(CSR.generalStatus, 1)).toBe(7);
  rig.built.capabilities!.nic!.setLink(false);
  expect([mdi(1) & 4, rig.in(CSR.generalStatus, 1)]).toEqual([0, 0]);
  rig.out(CSR.mdiControl, 4, 0x2000_0000 | (2 << 26) | (1 << 21));
  expect([driver.causes(), rig.interrupts]).toEqual([STAT.mdi, false]);
});

describe('PORT', () => {
  test('a self-test passes, and a reset stops both units', () => {
    driver.startReceive(2);
    driver.configure({ 15: 0xc9 });
    driver.memory.writeU32(0x500, 0);
    driver.memory.writeU32(0x504, 0xffff_ffff);
    rig.out(CSR.port, 4, 0x500 | PORT.selfTest);
    expect([driver.memory.readU32(0x500), driver.memory.readU32(0x504)]).toEqual([0xffff_ffff, 0]);
    expect(driver.states).toEqual({ cu: CU.idle, ru: RU.idle });
    driver.startReceive(2);
    rig.port.receive(frameTo(Uint8Array.of(2, 0, 0, 0, 0, 1)));
    expect(driver.received(0)).toBeNull();
    rig.out(CSR.port, 4, PORT.selectiveReset);
    expect(driver.states.ru).toBe(RU.idle);
  });

  test('a dump contains the configuration and the address', () => {
    rig.out(CSR.port, 4, 0x3000 | PORT.dump);
    expect(driver.memory.readable(0x3000, 22)).toEqual(DEFAULT_CONFIG);
    expect(driver.memory.readable(0x3000 + 39, 6)).toEqual(MAC_BYTES);
  });
});

describe('action commands', () => {
  test('are executed to the end of the list, and report their status', () => {
    const first = driver.add(ACTION.nop | COMMAND.interrupt);
    const second = driver.add(ACTION.diagnose);
    const last = driver.add(ACTION.loadMicrocode | COMMAND.endOfList, new Uint8Array(256));
    driver.scb(CU_COMMAND.start << 4, first);
    for (const at of [first, second, last]) expect(driver.memory.readU16(at)).toBe(COMPLETE | OK);
    expect(driver.states.cu).toBe(CU.idle);
    expect(rig.interrupts).toBe(true);
    expect(driver.causes()).toBe(STAT.cx | STAT.cna);
    expect(rig.interrupts).toBe(false);
  });

  test('suspend the unit, and continue with the next when resumed', () => {
    const first = driver.add(ACTION.nop | COMMAND.suspend);
    const second = driver.add(ACTION.nop | COMMAND.suspend);
    driver.scb(CU_COMMAND.start << 4, first);
    expect([driver.states.cu, driver.memory.readU16(second)]).toEqual([CU.suspended, 0]);
    driver.scb(CU_COMMAND.resume << 4);
    expect([driver.states.cu, driver.memory.readU16(second)]).toEqual([CU.suspended, COMPLETE | OK]);
  });

  test('are located at offsets from the base', () => {
    const at = driver.add(ACTION.nop | COMMAND.endOfList);
    driver.scb(CU_COMMAND.loadBase << 4, 0x400);
    driver.scb(CU_COMMAND.start << 4, at - 0x400);
    expect(driver.memory.readU16(at)).toBe(COMPLETE | OK);
  });

  test('interrupt unless masked; software can request an interrupt', () => {
    rig.out(CSR.interruptMask, 1, STAT.cx | STAT.cna);
    driver.run(ACTION.nop | COMMAND.interrupt);
    expect([rig.interrupts, rig.in(CSR.statAck, 1)]).toEqual([false, STAT.cx | STAT.cna]);
    rig.out(CSR.interruptMask, 1, STAT.cx);
    expect(rig.interrupts).toBe(true);
    rig.out(CSR.interruptMask, 1, MASK.all | MASK.softwareInterrupt);
    expect(rig.interrupts).toBe(false);
    expect(driver.causes()).toBe(STAT.cx | STAT.cna | STAT.swi);
  });

  test('a circular list does not block the machine, and one that leads out of memory ends', () => {
    const at = driver.add(ACTION.nop);
    driver.memory.writeU32(at + BLOCK.link, at);
    driver.scb(CU_COMMAND.start << 4, at);
    expect([driver.states.cu, rig.machine.clock.timers]).toEqual([CU.active, 1]);
    rig.machine.clock.advance(1);
    driver.memory.writeU32(at + BLOCK.link, 0xffff_0000);
    rig.machine.clock.advance(1);
    expect([driver.states.cu, rig.machine.clock.timers]).toEqual([CU.idle, 0]);
  });
});

describe('transmit commands', () => {
  const frame = frameTo(BROADCAST_BYTES, 1200);

  test('have their frame after them, in buffers, or both', () => {
    const first = driver.simplified(frame);
    driver.flexible([frame.subarray(0, 14), frame.subarray(14, 500), frame.subarray(500)]);
    driver.simplified(frame.subarray(0, 30), COMMAND.endOfList);
    driver.scb(CU_COMMAND.start << 4, first);
    expect(rig.port.sent.slice(0, 2)).toEqual([frame, frame]);
    expect(rig.port.sent[2]!.length).toBe(60);
  });

  test('that are extended contain two buffer descriptors', () => {
    driver.configure({ 6: 0x22 });
    const parts = [frame.subarray(0, 14), frame.subarray(14, 500), frame.subarray(500)];
    driver.scb(CU_COMMAND.start << 4, driver.flexible(parts, COMMAND.endOfList, 2));
    expect(rig.port.sent).toEqual([frame]);
    // The 82557 does not support it.
    const old = new Driver(i82557b);
    old.configure({ 6: 0x22 });
    old.scb(CU_COMMAND.start << 4, old.flexible(parts, COMMAND.endOfList));
    expect(old.rig.port.sent).toEqual([frame]);
  });

  test('wait while the network accepts no more', () => {
    rig.port.room = 1;
    const list = [1, 2, 3].map(() => driver.simplified(frame));
    driver.add(ACTION.nop | COMMAND.endOfList);
    driver.scb(CU_COMMAND.start << 4, list[0]);
    expect([rig.port.sent.length, driver.memory.readU16(list[2]!), driver.states.cu]).toEqual([
      1,
      0,
      CU.active,
    ]);
    rig.port.drain();
    expect([rig.port.sent.length, driver.memory.readU16(list[2]!), driver.states.cu]).toEqual([
      ...[3, COMPLETE | OK, CU.idle],
    ]);
  });

  test('with invalid frames send nothing, and complete', () => {
    const first = driver.simplified(new Uint8Array(5));
    driver.flexible([new Uint8Array(10_000), new Uint8Array(10_000)]);
    const bad = driver.flexible([frame], COMMAND.endOfList);
    driver.memory.writeU32(bad + TCB.tbdArray, 0xffff_fff0);
    driver.scb(CU_COMMAND.start << 4, first);
    expect([rig.port.sent, driver.memory.readU16(bad)]).toEqual([[], COMPLETE | OK]);
    expect(rig.machine.queueCounters[1]!.counts.get('errors')).toBe(3);
  });

  test('are received again in loopback mode', () => {
    driver.configure({ 10: 0x6e });
    driver.startReceive(2);
    driver.scb(CU_COMMAND.start << 4, driver.simplified(frame, COMMAND.endOfList));
    expect([driver.received(0)!.bytes, rig.port.sent.length]).toEqual([frame, 0]);
  });
});

describe('received frames', () => {
  test('are written after their descriptors, with their FCS if configured', () => {
    driver.startReceive(3);
    rig.port.receive(frameTo(MAC_BYTES, 300), frameTo(BROADCAST_BYTES, 20));
    expect(driver.received(0)).toEqual({ status: COMPLETE | OK | 0x20, bytes: frameTo(MAC_BYTES, 300) });
    expect(driver.received(1)).toMatchObject({ status: COMPLETE | OK | 0x22, bytes: { length: 60 } });
    expect([driver.causes(), driver.states.ru]).toEqual([STAT.fr, RU.ready]);
    driver.configure({ 18: 0xf6 });
    rig.port.receive(frameTo(MAC_BYTES, 300));
    const { bytes } = driver.received(2)!;
    expect(new DataView(bytes.buffer).getUint32(300, true)).toBe(frameCheck(frameTo(MAC_BYTES, 300)));
    expect([driver.causes() & STAT.rnr, driver.states.ru]).toEqual([STAT.rnr, RU.noResources]);
  });

  test('wait at the end of the list, and at an empty descriptor', () => {
    driver.startReceive(2, { lastRoom: 0 });
    expect(rig.port.receive(frameTo(MAC_BYTES, 60, 1), frameTo(MAC_BYTES, 60, 2))).toBe(1);
    expect([driver.received(1), driver.states.ru]).toEqual([null, RU.noResources]);
    expect(driver.causes()).toBe(STAT.fr | STAT.rnr);
    driver.startReceive(2);
    expect([driver.received(0)!.bytes, rig.port.receive()]).toEqual([frameTo(MAC_BYTES, 60, 2), 0]);
  });

  test('suspend the unit at a descriptor with S, until it is resumed', () => {
    driver.startReceive(1, { last: COMMAND.suspend });
    driver.memory.writeU32(driver.rfd(1) + RFD.actualCount, FRAME_ROOM << 16);
    expect(rig.port.receive(frameTo(MAC_BYTES), frameTo(MAC_BYTES, 64, 5))).toBe(1);
    expect(driver.states.ru).toBe(RU.suspended);
    driver.scb(RU_COMMAND.resume);
    expect(driver.received(1)!.bytes).toEqual(frameTo(MAC_BYTES, 64, 5));
  });

  test('that exceed the descriptor are truncated, and marked', () => {
    driver.startReceive(2, { room: 100 });
    rig.port.receive(frameTo(MAC_BYTES, 300));
    expect(driver.received(0)).toEqual({
      status: COMPLETE | 0x220,
      bytes: frameTo(MAC_BYTES, 300).subarray(0, 100),
    });
  });

  test('are filtered by the enabled filters', () => {
    const groups = [Uint8Array.of(1, 0, 0x5e, 0, 0, 0xfb), Uint8Array.of(0x33, 0x33, 0, 0, 0, 1)];
    const other = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
    const passed = (changes: Readonly<Record<number, number>>, list: readonly Uint8Array[] = []) => {
      driver = new Driver();
      driver.configure(changes);
      const data = new Uint8Array(2 + 6 * list.length);
      data[0] = 6 * list.length;
      list.forEach((address, index) => {
        data.set(address, 2 + 6 * index);
      });
      driver.run(ACTION.multicast, data);
      driver.startReceive(8);
      [MAC_BYTES, other, ...groups, BROADCAST_BYTES].forEach((target, seed) => {
        driver.rig.port.receive(frameTo(target, 60, seed));
      });
      const bytes = Array.from({ length: 5 }, (_, index) => driver.received(index)?.bytes[14]);
      return bytes.flatMap(byte => (byte === undefined ? [] : [byte - 14]));
    };
    expect(passed({})).toEqual([0, 4]);
    expect(passed({ 15: 0xca })).toEqual([0]);
    expect(passed({ 15: 0xc9 })).toEqual([0, 1, 2, 3, 4]);
    expect(passed({ 21: 0x0d })).toEqual([0, 2, 3, 4]);
    expect(passed({}, [groups[1]!])).toEqual([0, 3, 4]);
  });

  test('are matched against the address that the driver set', () => {
    const own = Uint8Array.of(2, 2, 2, 3, 3, 3);
    driver.run(ACTION.individualAddress, own);
    driver.startReceive(3);
    rig.port.receive(frameTo(MAC_BYTES), frameTo(own));
    expect([driver.received(0)?.bytes, driver.received(1)]).toEqual([frameTo(own), null]);
  });
});

test.each([
  ['82557', i82557b, 0x12, 64],
  ['82559', i82559er, 0x12, 76],
  ['82559 with those of management', i82559er, 0x16, 80],
  ['82559 in the old format', i82559er, 0x32, 64],
] as const)('the %s dumps its statistics, and clears them on request', (_, row, options, size) => {
  const one = new Driver(row);
  one.configure({ 6: options });
  one.startReceive(4);
  one.rig.port.receive(frameTo(MAC_BYTES), frameTo(BROADCAST_BYTES));
  one.scb(CU_COMMAND.start << 4, one.simplified(frameTo(BROADCAST_BYTES), COMMAND.endOfList));
  one.scb(CU_COMMAND.loadDumpAddress << 4, 0x3000);
  for (const [command, word, count] of [
    [CU_COMMAND.dumpStatistics, 0xa005, 2],
    [CU_COMMAND.dumpAndResetStatistics, 0xa007, 2],
    [CU_COMMAND.dumpStatistics, 0xa005, 0],
  ] as const) {
    one.scb(command << 4);
    expect([one.memory.readU32(0x3000 + size), one.memory.readU32(0x3000 + 36)]).toEqual([word, count]);
  }
});

test.each([1, 2, 3, 4])('whatever a driver does with its lists, it neither throws nor hangs (%i)', seed => {
  const random = new Random(seed);
  const one = new Driver(random.pick<AnyConfigurable>([i82551, i82557b, i82559er]));
  const { rig: card } = one;
  for (let round = 0; round < 3000; round++) {
    switch (random.below(6)) {
      case 0:
        for (let at = 0; at < 32; at++)
          one.memory.writeU32(0x1000 + 4 * random.below(0x2000), random.u32() & 0xff0f_0fff);
        break;
      case 1:
        card.out(CSR.scbPointer, 4, random.pick([0x1000, 0x2000, random.u32()]));
        card.out(CSR.scbCommand, 1, random.below(256));
        break;
      case 2:
        card.port.receive(frameTo(random.pick([MAC_BYTES, BROADCAST_BYTES]), 14 + random.below(9000)));
        card.port.drain(random.below(5));
        break;
      case 3:
        card.machine.clock.advance(random.below(3));
        break;
      default: {
        const size = random.pick([1, 2, 4] as const);
        card.out(random.below(64) & ~(size - 1), size, random.u32() & (2 ** (8 * size) - 1));
        card.in(random.below(64) & ~(size - 1), size);
      }
    }
  }
  card.quiesce();
  expect(card.machine.clock.timers).toBe(0);
});
