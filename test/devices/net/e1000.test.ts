import { beforeEach, describe, expect, test } from 'vitest';
import { EECD, REG } from '../../../src/devices/net/e1000/registers.ts';
import { e1000 } from '../../../src/devices/net/e1000/row.ts';
import { frameCheck } from '../../../src/devices/net/ethernet.ts';
import { CAUSE, CTRL, RCTL, STATUS, TCTL } from '../../../src/devices/net/gigabit/registers.ts';
import { STATISTIC } from '../../../src/devices/net/gigabit/statistics.ts';
import { COMMAND, REG as PCI } from '../../../src/devices/pci/registers.ts';
import { BROADCAST_BYTES, frameTo, ipFrame, ipSums, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';
import { Random } from '../../support/random.ts';

const RX_RING = 0x1000;
const TX_RING = 0x2000;
const BUFFERS = 0x1_0000;
const PACKETS = 0x8_0000;
/** Entries of each ring: 128 bytes at least. */
const ENTRIES = 8;
const BUFFER = 2048;

const CMD = { EOP: 1, IFCS: 2, IC: 4, TSE: 4, RS: 8, DEXT: 0x20, VLE: 0x40, IDE: 0x80 } as const;
const DD = 1;

/** A driver of the card, as Linux's and Intel's are. */
class Driver {
  readonly rig = new NicRig(e1000);
  #next = 0;
  #taken = 0;
  #packets = PACKETS;

  get base(): number {
    return this.rig.built.pci!.bars[0]!.address!;
  }

  read(register: number): number {
    return this.rig.machine.memoryBus.read(this.base + 4 * register, 4);
  }

  write(register: number, value: number): void {
    this.rig.machine.memoryBus.write(this.base + 4 * register, 4, value >>> 0);
  }

  startReceive(control: number = RCTL.BAM, filled = ENTRIES - 1): void {
    const { memory } = this.rig;
    for (let index = 0; index < ENTRIES; index++) {
      memory.writeU64(RX_RING + 16 * index, BigInt(BUFFERS + index * BUFFER));
      memory.writeU64(RX_RING + 16 * index + 8, 0n);
    }
    this.write(REG.RDBAL, RX_RING);
    this.write(REG.RDLEN, 16 * ENTRIES);
    this.write(REG.RDH, 0);
    this.write(REG.RDT, filled);
    this.write(REG.RCTL, RCTL.EN | control);
  }

  startTransmit(control: number = TCTL.PSP): void {
    this.write(REG.TDBAL, TX_RING);
    this.write(REG.TDLEN, 16 * ENTRIES);
    this.write(REG.TDH, 0);
    this.write(REG.TDT, 0);
    this.write(REG.TCTL, TCTL.EN | control);
  }

  /** Puts a descriptor into the transmit ring. */
  put(address: number, command: number, last: number): void {
    const { memory } = this.rig;
    const at = TX_RING + 16 * this.#next;
    memory.writeU64(at, BigInt(address));
    memory.writeU32(at + 8, command >>> 0);
    memory.writeU32(at + 12, last >>> 0);
    this.#next = (this.#next + 1) % ENTRIES;
  }

  place(bytes: Uint8Array): number {
    const at = this.#packets;
    this.#packets += (bytes.length + 15) & ~15;
    this.rig.memory.writable(at, bytes.length).set(bytes);
    return at;
  }

  /** Legacy descriptors for a packet in parts. */
  legacy(parts: readonly Uint8Array[], command: number, last = 0, cso = 0): void {
    parts.forEach((part, index) => {
      const end = index === parts.length - 1 ? CMD.EOP | command : command & ~CMD.RS;
      this.put(this.place(part), part.length | (cso << 16) | (end << 24), last);
    });
  }

  data(part: Uint8Array, command: number, popts: number, special = 0): void {
    this.put(
      this.place(part),
      (part.length | 0x10_0000 | ((CMD.DEXT | command) << 24)) >>> 0,
      (popts << 8) | (special << 16),
    );
  }

  /** @param context IPCSS, IPCSO, TUCSS, TUCSO */
  context(
    { ip = 14, ipField = 24, transport = 34, field = 50, headers = 0, mss = 0, length = 0 },
    command: number,
  ): void {
    this.put(
      ((ip | (ipField << 8) | ((transport - 1) << 16)) >>> 0) + (transport | (field << 8)) * 2 ** 32,
      (length | ((CMD.DEXT | command) << 24)) >>> 0,
      (headers << 8) | (mss << 16),
    );
  }

  kick(): void {
    this.write(REG.TDT, this.#next);
  }

  /** Frames in descriptors that are done, each with its status and special. */
  take(): { bytes: Uint8Array; status: number; special: number }[] {
    const { memory } = this.rig;
    const frames = [];
    for (;;) {
      const at = RX_RING + 16 * this.#taken;
      const last = memory.readU32(at + 12);
      if ((last & DD) === 0) return frames;
      const length = memory.readU16(at + 8);
      const bytes = memory.readable(Number(memory.readU64(at)), length).slice();
      frames.push({ bytes, status: last & 0xff, special: last >>> 16 });
      memory.writeU32(at + 12, 0);
      this.#taken = (this.#taken + 1) % ENTRIES;
    }
  }
}

let driver: Driver;
let rig: NicRig;
beforeEach(() => {
  driver = new Driver();
  rig = driver.rig;
});

const withCheck = (frame: Uint8Array) => {
  const bytes = new Uint8Array(frame.length + 4);
  bytes.set(frame);
  new DataView(bytes.buffer).setUint32(frame.length, frameCheck(frame), true);
  return bytes;
};

describe('registers', () => {
  test('the function is an 82540EM', () => {
    const fn = rig.built.pci!;
    expect([fn.config.u16(PCI.vendor), fn.config.u16(PCI.device)]).toEqual([0x8086, 0x100e]);
    expect(fn.bars.map(({ kind, size }) => [kind, size])).toEqual([
      ['memory32', 0x2_0000],
      ['io', 64],
    ]);
  });

  test('ports reach the same registers', () => {
    rig.out(0, 4, 4 * REG.TIPG);
    expect(rig.in(4, 4)).toBe(0x0060_2008);
    rig.out(4, 4, 0x1234);
    expect([driver.read(REG.TIPG), rig.in(0, 4)]).toEqual([0x1234, 4 * REG.TIPG]);
  });

  test('the address is in the EEPROM, whose words sum to 0xBABA', () => {
    expect(driver.read(REG.RAL)).toBe(0x1200_5452);
    expect(driver.read(REG.RAL + 1)).toBe(0x8000_5634);
    let sum = 0;
    for (let address = 0; address < 64; address++) {
      driver.write(REG.EERD, (address << 8) | 1);
      expect(driver.read(REG.EERD) & 0x10).toBe(0x10);
      sum += driver.read(REG.EERD) >>> 16;
    }
    expect(sum & 0xffff).toBe(0xbaba);
  });

  test('the EEPROM can also be read by its pins', () => {
    driver.write(REG.EECD, EECD.REQ);
    expect(driver.read(REG.EECD) & (EECD.GNT | EECD.PRES)).toBe(EECD.GNT | EECD.PRES);
    const clock = (bit: number) => {
      driver.write(REG.EECD, EECD.REQ | EECD.CS | (bit === 1 ? EECD.DI : 0));
      driver.write(REG.EECD, EECD.REQ | EECD.CS | EECD.SK | (bit === 1 ? EECD.DI : 0));
      return (driver.read(REG.EECD) & EECD.DO) === 0 ? 0 : 1;
    };
    for (const bit of [1, 1, 0, 0, 0, 0, 0, 0, 1]) clock(bit);
    let word = 0;
    for (let bit = 0; bit < 16; bit++) word = (word << 1) | clock(0);
    expect(word).toBe(0x1200);
  });

  test('the PHY has a link while the cable is plugged in, and reports changes', () => {
    const phy = (register: number) => {
      driver.write(REG.MDIC, (2 << 26) | (1 << 21) | (register << 16));
      return driver.read(REG.MDIC);
    };
    expect(phy(2) & 0x5000_ffff).toBe(0x1000_0141);
    expect(phy(1) & 0x24).toBe(0x24);
    expect(driver.read(REG.STATUS) & STATUS.LU).toBe(STATUS.LU);
    driver.write(REG.IMS, CAUSE.LSC);
    rig.built.capabilities!.nic!.setLink(false);
    expect(rig.interrupts).toBe(true);
    expect(driver.read(REG.ICR)).toBe(CAUSE.LSC);
    expect([rig.interrupts, phy(1) & 0x24, driver.read(REG.STATUS) & STATUS.LU]).toEqual([false, 0, 0]);
    rig.built.capabilities!.nic!.setLink(true);
    expect(driver.read(REG.ICR)).toBe(CAUSE.LSC);
    // Power down, and another PHY address.
    driver.write(REG.MDIC, (1 << 26) | (1 << 21) | 0x0800);
    expect([driver.read(REG.STATUS) & STATUS.LU, driver.read(REG.ICR)]).toEqual([0, CAUSE.LSC]);
    driver.write(REG.MDIC, (2 << 26) | (2 << 21) | (1 << 29));
    expect([driver.read(REG.MDIC) >>> 30, driver.read(REG.ICR)]).toEqual([1, CAUSE.MDAC]);
  });

  test('a reset restores registers, and stops both rings', () => {
    driver.startReceive();
    driver.write(REG.MTA + 5, 7);
    driver.write(REG.RAL, 0);
    driver.write(REG.MANC, 99);
    driver.write(REG.CTRL, driver.read(REG.CTRL) | CTRL.RST);
    expect([REG.RCTL, REG.MTA + 5, REG.MANC, REG.RDLEN].map(each => driver.read(each))).toEqual([0, 0, 0, 0]);
    expect([driver.read(REG.RAL), driver.read(REG.CTRL) & CTRL.RST]).toEqual([0x1200_5452, 0]);
    expect(rig.port.receive(frameTo(BROADCAST_BYTES))).toBe(0);
    expect(driver.take()).toEqual([]);
  });

  test('registers without an effect keep their values', () => {
    for (const register of [REG.IPAV, REG.IP4AT + 3, REG.WUPM + 31, REG.MANC]) {
      driver.write(register, 0x5a5a_1234);
      expect(driver.read(register)).toBe(0x5a5a_1234);
    }
  });
});

describe('received frames', () => {
  test('are written to the buffers of descriptors, with their FCS unless it is stripped', () => {
    driver.startReceive();
    driver.write(REG.IMS, CAUSE.RXT0);
    const frame = frameTo(MAC_BYTES, 100);
    rig.port.receive(frame);
    expect(rig.interrupts).toBe(true);
    expect(driver.read(REG.ICR) & CAUSE.RXT0).toBe(CAUSE.RXT0);
    expect(driver.take()).toEqual([{ bytes: withCheck(frame), status: 0x07, special: 0 }]);
    driver.write(REG.RCTL, RCTL.EN | RCTL.BAM | RCTL.SECRC);
    rig.port.receive(frame, frameTo(BROADCAST_BYTES, 20));
    expect(driver.take().map(({ bytes }) => bytes.length)).toEqual([100, 60]);
  });

  test.each([
    ['of 256 bytes', 3 << 16, 256],
    ['of 4096 bytes', RCTL.BSEX | (3 << 16), 4096],
  ])('use as many buffers %s as they need', (_, size, bytes) => {
    driver.startReceive(RCTL.BAM | RCTL.LPE | RCTL.SECRC | size);
    const frame = frameTo(MAC_BYTES, 1500);
    rig.port.receive(frame);
    const parts = driver.take();
    const count = Math.ceil(1500 / bytes);
    expect(parts.map(({ status }) => status & 2)).toEqual(
      Array.from({ length: count }, (_, index) => (index === count - 1 ? 2 : 0)),
    );
    expect(Buffer.concat(parts.map(part => part.bytes)).equals(frame)).toBe(true);
  });

  test('wait while there are no descriptors, and the driver is notified when few are left', () => {
    driver.startReceive(RCTL.BAM, 2);
    const frames = [1, 2, 3, 4].map(seed => frameTo(MAC_BYTES, 60, seed));
    expect(rig.port.receive(...frames)).toBe(2);
    expect([driver.take().length, driver.read(STATISTIC.RNBC)]).toEqual([2, 1]);
    driver.write(REG.RDT, 1);
    const { bytes } = driver.take()[1]!;
    expect(bytes.subarray(0, 60)).toEqual(frames[3]);
    expect(driver.read(REG.ICR) & CAUSE.RXDMT0).toBe(0);
    // Half of them.
    rig.port.receive(frameTo(MAC_BYTES));
    expect(driver.read(REG.ICR) & CAUSE.RXDMT0).toBe(CAUSE.RXDMT0);
  });

  test("that exceed LPE's limit or the entire ring are dropped", () => {
    driver.startReceive();
    expect(rig.port.receive(frameTo(MAC_BYTES, 1518), frameTo(MAC_BYTES, 1519))).toBe(0);
    expect([driver.take().length, driver.read(STATISTIC.ROC)]).toEqual([1, 1]);
    driver.write(REG.RCTL, RCTL.EN | RCTL.BAM | RCTL.LPE | (3 << 16));
    expect(rig.port.receive(frameTo(MAC_BYTES, 9000), frameTo(MAC_BYTES, 60))).toBe(0);
    expect(driver.take().length).toBe(1);
  });

  test('are filtered by the enabled filters', () => {
    const other = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
    const group = Uint8Array.of(1, 0, 0x5e, 0, 0, 0xfb);
    const passed = (control: number) => {
      driver = new Driver();
      driver.startReceive(control);
      // The hash of the group: bits 47 to 36 of its address.
      driver.write(REG.MTA + ((0xfb0 >> 5) & 0x7f), control & RCTL.MPE ? 0 : 1 << (0xfb0 & 31));
      driver.write(REG.RAL + 6, 0x0100_5452);
      driver.write(REG.RAL + 7, 0x8000_0403);
      const targets = [MAC_BYTES, other, group, BROADCAST_BYTES, Uint8Array.of(0x52, 0x54, 0, 1, 3, 4)];
      targets.forEach((target, seed) => {
        driver.rig.port.receive(frameTo(target, 60, seed));
      });
      return driver.take().map(({ bytes, status }) => [bytes[14]! - 14, status >> 7]);
    };
    const [own, hashed, all, second] = [
      [0, 0],
      [2, 1],
      [3, 0],
      [4, 0],
    ];
    expect(passed(0)).toEqual([own, hashed, second]);
    expect(passed(RCTL.BAM)).toEqual([own, hashed, all, second]);
    expect(passed(RCTL.UPE)).toEqual([own, [1, 0], hashed, second]);
    expect(passed(RCTL.MPE)).toEqual([own, [2, 0], all, second]);
    expect(passed(1 << RCTL.offsetShift)).toEqual([own, second]);
  });

  test('of a VLAN are filtered, and their tag is stripped', () => {
    const tagged = (vlan: number, type = 0x8100) => {
      const frame = frameTo(MAC_BYTES, 100);
      frame.set([type >> 8, type & 0xff, vlan >> 8, vlan & 0xff, 8, 0], 12);
      return frame;
    };
    driver.startReceive(RCTL.VFE | RCTL.SECRC);
    driver.write(REG.VFTA + (100 >> 5), 1 << (100 & 31));
    rig.port.receive(tagged(0x2064), tagged(0x2065), frameTo(MAC_BYTES, 80));
    expect(driver.take().map(({ bytes }) => bytes.length)).toEqual([100, 80]);
    driver.write(REG.CTRL, CTRL.VME);
    rig.port.receive(tagged(0x2064));
    const [{ bytes, status, special }] = driver.take() as [ReturnType<Driver['take']>[0]];
    expect([status & 8, special, bytes.length]).toEqual([8, 0x2064, 96]);
    expect([...bytes.subarray(0, 14)]).toEqual([...tagged(0).subarray(0, 12), 8, 0]);
  });

  test('are not written without bus mastering, and a bad buffer loses only its own frame', () => {
    driver.startReceive();
    rig.built.pci!.writeConfig(PCI.command, 2, COMMAND.memory);
    expect(rig.port.receive(frameTo(MAC_BYTES))).toBe(0);
    rig.built.pci!.writeConfig(PCI.command, 2, COMMAND.memory | COMMAND.busMaster);
    expect(driver.take()).toEqual([]);
    rig.memory.writeU64(RX_RING, 0xffff_ffff_ffff_0000n);
    rig.port.receive(frameTo(MAC_BYTES, 60, 1), frameTo(MAC_BYTES, 60, 2));
    expect(rig.memory.readU32(RX_RING + 12) & DD).toBe(DD);
    expect(rig.memory.readU32(RX_RING + 28) & DD).toBe(DD);
    expect(rig.machine.queueCounters[0]!.counts.get('dropped')).toBe(2);
  });

  test('interrupt after RDTR, RADV at the latest, and not more often than ITR', () => {
    const { clock } = rig.machine;
    driver.startReceive();
    driver.write(REG.IMS, CAUSE.RXT0);
    // Units of 1.024 µs: 2 ms each time, 5 ms in all.
    driver.write(REG.RDTR, 1953);
    driver.write(REG.RADV, 4883);
    for (let ms = 0; ms < 4; ms++) {
      rig.port.receive(frameTo(MAC_BYTES));
      clock.advance(1);
    }
    expect(rig.interrupts).toBe(false);
    rig.port.receive(frameTo(MAC_BYTES));
    clock.advance(2);
    expect(rig.interrupts).toBe(true);
    driver.read(REG.ICR);
    driver.write(REG.RDTR, 0);
    // 10 ms of 256 ns.
    driver.write(REG.ITR, 39_063);
    driver.take();
    driver.write(REG.RDT, 4);
    rig.port.receive(frameTo(MAC_BYTES));
    expect(rig.interrupts).toBe(true);
    driver.read(REG.ICR);
    rig.port.receive(frameTo(MAC_BYTES));
    expect(rig.interrupts).toBe(false);
    clock.advance(9);
    expect(rig.interrupts).toBe(false);
    clock.advance(2);
    expect(rig.interrupts).toBe(true);
  });
});

describe('sent frames', () => {
  test('are read from one or several descriptors, and reported', () => {
    driver.startTransmit();
    driver.write(REG.IMS, CAUSE.TXDW);
    const frame = frameTo(BROADCAST_BYTES, 700);
    driver.legacy([frame], CMD.RS | CMD.IFCS);
    driver.legacy([frame.subarray(0, 14), frame.subarray(14, 300), frame.subarray(300)], CMD.RS);
    driver.legacy([frame.subarray(0, 20)], 0);
    driver.kick();
    expect(rig.port.sent.map(each => each.length)).toEqual([700, 700, 60]);
    expect(rig.port.sent[1]).toEqual(frame);
    expect(rig.port.sent[2]!.subarray(20)).toEqual(new Uint8Array(40));
    expect(rig.interrupts).toBe(true);
    expect(driver.read(REG.ICR)).toBe(CAUSE.TXDW | CAUSE.TXQE);
    const done = Array.from({ length: 5 }, (_, index) => rig.memory.readU32(TX_RING + 16 * index + 12) & DD);
    expect(done).toEqual([1, 0, 0, 1, 0]);
    expect(driver.read(REG.TDH)).toBe(5);
  });

  test('get a checksum where a legacy descriptor says', () => {
    driver.startTransmit();
    const frame = ipFrame('udp', 100);
    // What Linux leaves in the field: the sum of the pseudo header.
    const pseudo = (0x0a00 + 0x020f + 0x0a00 + 0x0202 + 17 + 108) & 0xffff;
    new DataView(frame.buffer).setUint16(40, pseudo);
    driver.legacy([frame], CMD.IC, 34 << 8, 40);
    driver.kick();
    expect(ipSums(rig.port.sent[0]!).transport).toBe(0xffff);
  });

  test('get the checksums that a context descriptor defines', () => {
    driver.startTransmit();
    const frame = ipFrame('tcp', 500);
    new DataView(frame.buffer).setUint16(50, 0x0a00 + 0x020f + 0x0a00 + 0x0202 + 6 + 520);
    driver.context({}, 0x03);
    driver.data(frame.subarray(0, 54), 0, 3);
    driver.data(frame.subarray(54), CMD.EOP | CMD.RS, 0);
    driver.kick();
    expect(ipSums(rig.port.sent[0]!)).toEqual({ header: 0xffff, transport: 0xffff });
  });

  test('are the segments of a TSO packet', () => {
    driver.startTransmit();
    const packet = ipFrame('tcp', 5000, { id: 0xfffe, sequence: 0xffff_f000, flags: 0x19 });
    new DataView(packet.buffer).setUint16(50, 0x0a00 + 0x020f + 0x0a00 + 0x0202 + 6);
    driver.context({ headers: 54, mss: 1460, length: 5000 }, 0x07);
    driver.data(packet.subarray(0, 1000), CMD.TSE, 3);
    driver.data(packet.subarray(1000), CMD.TSE | CMD.EOP | CMD.RS | CMD.VLE, 3, 0x0123);
    driver.write(REG.CTRL, CTRL.VME);
    driver.kick();
    const { sent } = rig.port;
    expect(sent.map(({ length }) => length - 58)).toEqual([1460, 1460, 1460, 620]);
    const bare = sent.map(frame => {
      expect([...frame.subarray(12, 16)]).toEqual([0x81, 0x00, 0x01, 0x23]);
      return Uint8Array.from([...frame.subarray(0, 12), ...frame.subarray(16)]);
    });
    bare.forEach((frame, index) => {
      expect(ipSums(frame)).toEqual({ header: 0xffff, transport: 0xffff });
      const view = new DataView(frame.buffer);
      expect(view.getUint16(18)).toBe((0xfffe + index) & 0xffff);
      expect(view.getUint32(38)).toBe((0xffff_f000 + 1460 * index) % 2 ** 32);
      expect(view.getUint8(47)).toBe(index === 3 ? 0x19 : 0x10);
    });
    expect(Buffer.concat(bare.map(frame => frame.subarray(54))).equals(packet.subarray(54))).toBe(true);
    expect(driver.read(STATISTIC.TSCTC)).toBe(1);
  });

  test('that cannot be segmented, or are not in memory, are dropped, and the ring continues', () => {
    driver.startTransmit();
    const packet = ipFrame('tcp', 3000);
    driver.context({ headers: 54, mss: 3 }, 0x07);
    driver.data(packet, CMD.TSE | CMD.EOP | CMD.RS, 3);
    driver.put(0xffff_ffff, 100 | (CMD.EOP << 24), 0);
    driver.data(new Uint8Array(0), CMD.EOP, 0);
    driver.legacy([frameTo(BROADCAST_BYTES)], CMD.RS);
    driver.kick();
    expect([rig.port.sent.length, driver.read(STATISTIC.TSCTFC), driver.read(REG.TDH)]).toEqual([1, 1, 5]);
    expect(rig.machine.queueCounters[1]!.counts.get('errors')).toBe(3);
  });

  test('wait while the network accepts no more', () => {
    driver.startTransmit();
    rig.port.room = 1;
    for (let seed = 0; seed < 4; seed++) driver.legacy([frameTo(BROADCAST_BYTES, 60, seed)], CMD.RS);
    driver.kick();
    // One is sent, and one is in the card.
    expect([rig.port.sent.length, driver.read(REG.TDH)]).toEqual([1, 2]);
    rig.port.drain();
    expect(rig.port.sent.map(frame => frame[14]! - 14)).toEqual([0, 1, 2, 3]);
    expect(driver.read(REG.TDH)).toBe(4);
  });

  test('are reported after TIDV if they may be', () => {
    driver.startTransmit();
    driver.write(REG.IMS, CAUSE.TXDW);
    driver.write(REG.TIDV, 1953);
    driver.legacy([frameTo(BROADCAST_BYTES)], CMD.RS | CMD.IDE);
    driver.kick();
    expect(rig.interrupts).toBe(false);
    rig.machine.clock.advance(3);
    expect(driver.read(REG.ICR) & CAUSE.TXDW).toBe(CAUSE.TXDW);
    driver.legacy([frameTo(BROADCAST_BYTES)], CMD.RS);
    driver.kick();
    expect(rig.interrupts).toBe(true);
  });

  test('are received again in loopback mode', () => {
    driver.startReceive(RCTL.BAM | RCTL.LBM);
    driver.startTransmit();
    driver.legacy([frameTo(MAC_BYTES, 200)], CMD.RS);
    driver.kick();
    expect([driver.take().length, rig.port.sent.length]).toEqual([1, 0]);
  });

  test('a ring that is larger than a batch is served in several turns', () => {
    const entries = 4096;
    const ring = 0x2_0000;
    for (let index = 0; index < entries; index++) {
      rig.memory.writeU64(ring + 16 * index, BigInt(PACKETS));
      rig.memory.writeU32(ring + 16 * index + 8, 60 | (CMD.EOP << 24));
    }
    driver.write(REG.TDBAL, ring);
    driver.write(REG.TDLEN, 16 * entries);
    driver.write(REG.TCTL, TCTL.EN);
    driver.write(REG.TDT, entries - 1);
    expect(rig.port.sent.length).toBeLessThan(1000);
    expect(rig.machine.clock.timers).toBe(1);
    for (let turns = 0; turns < 20; turns++) rig.machine.clock.advance(1);
    expect(rig.port.sent.length).toBe(entries - 1);
  });

  test('a tail outside the ring is never reached', () => {
    driver.startTransmit();
    driver.write(REG.TDT, 9);
    driver.write(REG.TDLEN, 0);
    driver.write(REG.TDT, 0);
    driver.write(REG.TDH, 5);
    expect(rig.port.sent).toEqual([]);
    expect(rig.machine.clock.timers).toBe(0);
  });
});

test('statistics are counted, and cleared on read', () => {
  driver.startReceive();
  driver.startTransmit();
  rig.port.receive(
    frameTo(MAC_BYTES, 60),
    frameTo(BROADCAST_BYTES, 1000),
    frameTo(Uint8Array.of(2, 2, 2, 2, 2, 2)),
  );
  driver.legacy([frameTo(Uint8Array.of(1, 2, 3, 4, 5, 6), 300)], 0);
  driver.kick();
  const { PRC64, GPRC, BPRC, GPTC, MPTC, TPR, TOR, GORC, GOTC } = STATISTIC;
  const all = [PRC64, PRC64 + 4, GPRC, BPRC, GPTC, MPTC, TPR, GORC, GOTC, TOR];
  expect(all.map(each => driver.read(each))).toEqual([1, 1, 2, 1, 1, 1, 3, 64 + 1004, 304, 64 + 1004 + 68]);
  expect(driver.read(GORC)).toBe(64 + 1004);
  expect([driver.read(GORC + 1), driver.read(GORC), driver.read(GPRC)]).toEqual([0, 0, 0]);
});

test('a card in the middle of a packet, with timers, continues after save and load', () => {
  driver.startReceive();
  driver.startTransmit();
  driver.write(REG.IMS, CAUSE.RXT0);
  driver.write(REG.RDTR, 1953);
  rig.port.receive(frameTo(MAC_BYTES));
  const frame = frameTo(BROADCAST_BYTES, 500);
  const rest = driver.place(frame.subarray(100));
  driver.put(driver.place(frame.subarray(0, 100)), 100, 0);
  driver.kick();
  rig.quiesce();
  const state = structuredClone(rig.built.device.save());

  const other = new Driver();
  other.rig.quiesce();
  other.rig.memory.writable(0, 2 ** 20).set(rig.memory.readable(0, 2 ** 20));
  other.rig.built.device.load(state);
  other.rig.built.device.resume!();
  other.put(0, 0, 0);
  other.put(rest, 400 | ((CMD.EOP | CMD.RS) << 24), 0);
  other.kick();
  expect(other.rig.port.sent).toEqual([frame]);
  other.rig.machine.clock.advance(3);
  expect(other.read(REG.ICR) & CAUSE.RXT0).toBe(CAUSE.RXT0);
});

test.each([1, 2, 3, 4])(
  'whatever a driver does with rings and filters, it neither throws nor hangs (%i)',
  seed => {
    const random = new Random(seed);
    const registers = Object.values(REG);
    for (let round = 0; round < 3000; round++) {
      switch (random.below(8)) {
        case 0:
          driver.startReceive(random.u32() & ~RCTL.EN, random.below(ENTRIES + 2));
          break;
        case 1:
          driver.startTransmit(random.u32());
          break;
        case 2:
          rig.port.receive(frameTo(random.pick([MAC_BYTES, BROADCAST_BYTES]), 14 + random.below(9000)));
          rig.port.drain(random.below(5));
          break;
        case 3:
        case 4: {
          const address = random.pick([PACKETS, 0xfff00, random.u32()]);
          const length = random.pick([0, 60, 1500, random.u32() & 0xf_ffff]);
          driver.put(address, length | (random.u32() & 0xffff_0000), random.u32());
          driver.kick();
          break;
        }
        case 5:
          rig.machine.clock.advance(random.below(5));
          break;
        default:
          driver.write(random.pick(registers), random.pick([0, 0x80, 0x1000, random.u32()]));
          driver.read(random.pick(registers));
      }
    }
    rig.quiesce();
    expect(rig.machine.clock.timers).toBe(0);
  },
);
