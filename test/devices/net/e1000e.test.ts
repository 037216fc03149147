import { beforeEach, describe, expect, test } from 'vitest';
import {
  CAUSE,
  CTRL,
  CTRL_EXT,
  EECD,
  IVAR,
  MRQC,
  RCTL,
  REG,
  RFCTL,
  RXCSUM,
  STATUS,
  SWSM,
  TARC_ENABLE,
} from '../../../src/devices/net/e1000e/registers.ts';
import { e1000e } from '../../../src/devices/net/e1000e/row.ts';
import { toeplitz } from '../../../src/devices/net/e1000e/rss.ts';
import { RING, TCTL } from '../../../src/devices/net/gigabit/registers.ts';
import { STATISTIC } from '../../../src/devices/net/gigabit/statistics.ts';
import { CAPABILITY, REG as PCI } from '../../../src/devices/pci/registers.ts';
import type { FakeMsi } from '../../support/fake-machine.ts';
import { BROADCAST_BYTES, frameTo, ipFrame, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';
import { Random } from '../../support/random.ts';

const RX_RINGS = [0x1000, 0x1800];
const TX_RINGS = [0x2000, 0x2800];
/** Four pages for each descriptor. */
const BUFFERS = 0x1_0000;
const PACKETS = 0x8_0000;
const ENTRIES = 8;

const EOP = 1 << 24;
const RS = 1 << 27;
const IDE = 2 ** 31;
const [DD, LAST, IXSM, VP] = [1, 2, 4, 8];

/** The function's vectors: that of MSI is the first. */
const MSI = 0;
const MSIX = 1;

type Format = 'legacy' | 'extended' | 'split';
type Written = { words: number[]; bytes: Uint8Array[] };

/** A driver of the card, as Linux's is. */
class Driver {
  readonly rig = new NicRig(e1000e);
  readonly #sent = [0, 0];
  #packets = PACKETS;

  read(register: number): number {
    return this.rig.machine.memoryBus.read(this.#bar(0) + 4 * register, 4);
  }

  write(register: number, value: number): void {
    this.rig.machine.memoryBus.write(this.#bar(0) + 4 * register, 4, value >>> 0);
  }

  /** Starts both receive queues. Buffers are 2 KiB, or of the sizes that a packet split has after a reset, and 1 KiB. */
  startReceive(format: Format = 'legacy', control: number = RCTL.BAM): void {
    const { memory } = this.rig;
    const units = format === 'split' ? 2 : 1;
    RX_RINGS.forEach((ring, queue) => {
      for (let index = 0; index < ENTRIES; index++) {
        const buffers = BUFFERS + (queue * ENTRIES + index) * 0x4000;
        const at = ring + 16 * units * index;
        for (let word = 0; word < 8 * units; word += 2) memory.writeU16(at + 2 * word, 0);
        for (let buffer = 0; buffer < (units === 2 ? 4 : 1); buffer++)
          memory.writeU64(at + 8 * buffer, BigInt(buffers + 0x1000 * buffer));
      }
      const base = queue === 0 ? REG.RDBAL : REG.RDBAL1;
      this.write(base + RING.BAL, ring);
      this.write(base + RING.LEN, 16 * units * ENTRIES);
      this.write(base + RING.H, 0);
      this.write(base + RING.T, units * (ENTRIES - 1));
    });
    this.write(REG.RFCTL, format === 'legacy' ? 0 : RFCTL.EXSTEN);
    this.write(REG.RXCSUM, RXCSUM.PCSD);
    this.write(REG.RCTL, RCTL.EN | RCTL.SECRC | control | (format === 'split' ? RCTL.DTYP_SPLIT : 0));
  }

  /** The words of a receive descriptor, and what is in its buffers. @param lengths of the buffers */
  written(format: Format, queue = 0, index = 0, lengths: readonly number[] = []): Written {
    const { memory } = this.rig;
    const units = format === 'split' ? 2 : 1;
    const at = RX_RINGS[queue]! + 16 * units * index;
    const words = Array.from({ length: 4 * units }, (_, word) => memory.readU32(at + 4 * word));
    const buffers = BUFFERS + (queue * ENTRIES + index) * 0x4000;
    const bytes = lengths.map((length, buffer) => memory.readable(buffers + 0x1000 * buffer, length).slice());
    return { words, bytes };
  }

  startTransmit(): void {
    TX_RINGS.forEach((ring, queue) => {
      const base = queue === 0 ? REG.TDBAL : REG.TDBAL1;
      this.write(base + RING.BAL, ring);
      this.write(base + RING.LEN, 16 * ENTRIES);
    });
    this.write(REG.TCTL, TCTL.EN | TCTL.PSP);
  }

  /** Sends a frame from a legacy descriptor. */
  send(queue: number, frame: Uint8Array, command = EOP | RS): void {
    const { memory } = this.rig;
    const at = TX_RINGS[queue]! + 16 * this.#sent[queue]!;
    memory.writable(this.#packets, frame.length).set(frame);
    memory.writeU64(at, BigInt(this.#packets));
    memory.writeU32(at + 8, (frame.length | command) >>> 0);
    memory.writeU32(at + 12, 0);
    this.#packets += (frame.length + 15) & ~15;
    this.#sent[queue] = (this.#sent[queue]! + 1) % ENTRIES;
    this.write(queue === 0 ? REG.TDT : REG.TDT1, this.#sent[queue]!);
  }

  /** The messages that a vector has sent since the last call. */
  messages(vector: number): number[] {
    const { sent } = this.rig.machine.eventFds.vectors[vector] as FakeMsi;
    return sent.splice(0).map(({ data }) => data);
  }

  enableMsi(): void {
    const at = this.#capability(CAPABILITY.msi);
    const { pci } = this.rig.built;
    pci!.writeConfig(at + 4, 4, 0xfee0_0000);
    pci!.writeConfig(at + 12, 2, 0x50);
    pci!.writeConfig(at + 2, 2, 1);
  }

  /** Vector `n` has message 0x40 + n. */
  enableMsix(): void {
    const table = this.#bar(3);
    for (let vector = 0; vector < 5; vector++) {
      const entry = table + 16 * vector;
      [0xfee0_0000, 0, 0x40 + vector, 0].forEach((word, index) => {
        this.rig.machine.memoryBus.write(entry + 4 * index, 4, word);
      });
    }
    this.rig.built.pci!.writeConfig(this.#capability(CAPABILITY.msix) + 2, 2, 0x8000);
  }

  #capability(id: number): number {
    const fn = this.rig.built.pci!;
    let at = fn.readConfig(PCI.capabilities, 1);
    while (fn.readConfig(at, 1) !== id) at = fn.readConfig(at + 1, 1);
    return at;
  }

  #bar(index: number): number {
    return this.rig.built.pci!.bars.find(bar => bar.index === index)!.address!;
  }
}

let driver: Driver;
let rig: NicRig;
beforeEach(() => {
  driver = new Driver();
  rig = driver.rig;
});

describe('registers', () => {
  test('the function is an 82574L with the BARs of a card without flash memory', () => {
    const fn = rig.built.pci!;
    expect([fn.config.u16(PCI.vendor), fn.config.u16(PCI.device)]).toEqual([0x8086, 0x10d3]);
    expect(
      fn.bars.toSorted((a, b) => a.index - b.index).map(({ index, kind, size }) => [index, kind, size]),
    ).toEqual([
      [0, 'memory32', 0x2_0000],
      [2, 'io', 32],
      [3, 'memory32', 0x4000],
    ]);
  });

  test('are aliased at the offsets of older controllers', () => {
    driver.write(0x110 / 4, 0x1230);
    driver.write(0x438 / 4, 5);
    driver.write(0x604 / 4, 7);
    expect([driver.read(REG.RDBAL), driver.read(REG.TDT), driver.read(REG.VFTA + 1)]).toEqual([0x1230, 5, 7]);
    expect(driver.read(0x40 / 4)).toBe(0x1200_5452);
  });

  test('can be accessed by ports', () => {
    rig.out(0, 4, 4 * REG.TIPG);
    expect(rig.in(4, 4)).toBe(0x0060_2008);
  });

  test('the EEPROM has the address and sums to 0xBABA, and a written word lasts until the reset', () => {
    expect([driver.read(REG.RAL), driver.read(REG.RAL + 1)]).toEqual([0x1200_5452, 0x8000_5634]);
    expect(driver.read(REG.EECD) & (EECD.PRES | EECD.AUTO_RD | EECD.GNT)).toBe(EECD.PRES | EECD.AUTO_RD);
    driver.write(REG.EECD, EECD.REQ);
    expect(driver.read(REG.EECD) & EECD.GNT).toBe(EECD.GNT);
    const word = (address: number) => {
      driver.write(REG.EERD, (address << 2) | 1);
      expect(driver.read(REG.EERD) & 2).toBe(2);
      return driver.read(REG.EERD) >>> 16;
    };
    const sum = Array.from({ length: 64 }, (_, address) => word(address)).reduce((a, b) => a + b);
    expect(sum & 0xffff).toBe(0xbaba);
    driver.write(REG.EEWR, (0xbeef << 16) | (5 << 2) | 1);
    expect([driver.read(REG.EEWR) & 2, word(5), word(64)]).toEqual([2, 0xbeef, 0xffff]);
    rig.built.device.reset();
    expect(word(5)).not.toBe(0xbeef);
  });

  test('the PHY has pages, and reports a link', () => {
    const read = (register: number) => {
      driver.write(REG.MDIC, (2 << 26) | (1 << 21) | (register << 16));
      return driver.read(REG.MDIC) & 0xffff;
    };
    const write = (register: number, value: number) =>
      driver.write(REG.MDIC, (1 << 26) | (1 << 21) | (register << 16) | value);
    expect([read(2), read(3), read(1) & 0x24, read(17)]).toEqual([0x0141, 0x0cb1, 0x24, 0xac00]);
    write(22, 3);
    write(16, 0x1234);
    expect([read(22), read(16), read(2)]).toEqual([3, 0x1234, 0x0141]);
    write(22, 200);
    write(16, 1);
    expect(read(16)).toBe(0);
    write(22, 0);
    expect(read(16)).toBe(0x3360);
  });

  test('semaphores are acquired and released', () => {
    expect(driver.read(REG.SWSM) & SWSM.SMBI).toBe(0);
    expect(driver.read(REG.SWSM) & SWSM.SMBI).toBe(SWSM.SMBI);
    driver.write(REG.SWSM, 0);
    expect(driver.read(REG.SWSM) & SWSM.SMBI).toBe(0);
    driver.write(REG.EXTCNF_CTRL, 1 << 5);
    expect(driver.read(REG.EXTCNF_CTRL)).toBe(1 << 5);
  });

  test("the driver can disable the function's requests", () => {
    expect(driver.read(REG.STATUS) & (STATUS.LU | STATUS.GIO_MASTER_ENABLE)).toBe(
      STATUS.LU | STATUS.GIO_MASTER_ENABLE,
    );
    driver.write(REG.CTRL, CTRL.GIO_MASTER_DISABLE);
    expect(driver.read(REG.STATUS) & STATUS.GIO_MASTER_ENABLE).toBe(0);
  });

  test('the system time advances by its increment', () => {
    // 40 units each cycle of 40 ns, so that they are nanoseconds.
    driver.write(REG.TIMINCA, (1 << 24) | 40);
    driver.write(REG.SYSTIML, 0xffff_fff0);
    driver.write(REG.SYSTIMH, 7);
    rig.machine.clock.advance(1);
    expect(driver.read(REG.SYSTIML)).toBe(1_000_000 - 16);
    expect(driver.read(REG.SYSTIMH)).toBe(8);
    driver.write(REG.TIMINCA, 0);
    rig.machine.clock.advance(1);
    expect(driver.read(REG.SYSTIML)).toBe(1_000_000 - 16);
  });

  test('a reset of the MAC restores registers, and stops the rings', () => {
    driver.startReceive('extended');
    driver.write(REG.IVAR, 0x8);
    driver.write(REG.CTRL, CTRL.RST);
    const stopped = [REG.RCTL, REG.RFCTL, REG.IVAR, REG.RDLEN1].map(register => driver.read(register));
    expect(stopped).toEqual([0, 0, 0, 0]);
    expect(driver.read(REG.TARC1) & TARC_ENABLE).toBe(TARC_ENABLE);
    rig.port.receive(frameTo(MAC_BYTES));
    expect(driver.read(REG.RDH)).toBe(0);
  });
});

describe('received frames', () => {
  const frame = ipFrame('tcp', 1000);

  test('are described by legacy descriptors', () => {
    driver.startReceive();
    rig.port.receive(frame);
    const { words, bytes } = driver.written('legacy', 0, 0, [frame.length]);
    expect(words.slice(2)).toEqual([frame.length, DD | LAST | IXSM]);
    expect(bytes[0]).toEqual(frame);
  });

  test('are described by extended descriptors, with their tag', () => {
    driver.startReceive('extended');
    driver.write(REG.CTRL, CTRL.VME);
    const tagged = Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0x20, 0x64, ...frame.subarray(12)]);
    rig.port.receive(tagged);
    const { words, bytes } = driver.written('extended', 0, 0, [frame.length]);
    expect(words).toEqual([0, 0, DD | LAST | IXSM | VP, (0x2064 << 16) | frame.length]);
    expect(bytes[0]).toEqual(frame);
    expect(driver.read(REG.RDH)).toBe(1);
  });

  test('are split into headers and payload', () => {
    driver.startReceive('split');
    rig.port.receive(frame);
    // PSRCTL's 256 bytes, and pages of 4 KiB.
    const { words, bytes } = driver.written('split', 0, 0, [54, 1000]);
    expect(words.slice(2, 6)).toEqual([DD | LAST | IXSM, 54, (1000 << 16) | 0x8000 | 54, 0]);
    expect(bytes[0]).toEqual(frame.subarray(0, 54));
    expect(bytes[1]).toEqual(frame.subarray(54));
    expect(driver.read(REG.RDH)).toBe(2);
  });

  test('fill the buffers in order if they have no headers, or headers that do not fit', () => {
    driver.startReceive('split');
    const other = frameTo(MAC_BYTES, 600);
    rig.port.receive(other);
    const first = driver.written('split', 0, 0, [256, 344]);
    expect(first.words.slice(3, 5)).toEqual([256, 344 << 16]);
    expect(Buffer.concat(first.bytes).equals(other)).toBe(true);
    driver.write(REG.PSRCTL, 0);
    driver.write(REG.RDT, 0);
    expect(rig.port.receive(other)).toBe(0);
    expect(driver.read(REG.RDH)).toBe(2);
  });

  test('that need several split descriptors have their headers in the first one', () => {
    driver.startReceive('split', RCTL.BAM | RCTL.LPE);
    // 256 bytes, and three times 1 KiB.
    driver.write(REG.PSRCTL, 0x0101_0102);
    const long = ipFrame('tcp', 4000);
    rig.port.receive(long);
    const [first, second] = [
      driver.written('split', 0, 0, [54, 1024, 1024, 1024]),
      driver.written('split', 0, 1, [0, 928]),
    ];
    expect([first.words[2], second.words[2]]).toEqual([DD | IXSM, DD | LAST | IXSM]);
    expect(second.words.slice(3, 5)).toEqual([0, (928 << 16) | 0x8000 | 54]);
    expect(Buffer.concat([...first.bytes, ...second.bytes]).equals(long)).toBe(true);
  });

  test("go to buffers of FLXBUF's size", () => {
    driver.startReceive('extended', RCTL.BAM | RCTL.LPE | (1 << RCTL.flexShift));
    rig.port.receive(frameTo(MAC_BYTES, 1500));
    const lengths = [0, 1].map(index => driver.written('extended', 0, index).words[3]);
    expect(lengths).toEqual([1024, 476]);
  });

  test('go to the queue selected by their hash', () => {
    driver.startReceive('extended');
    const key = Buffer.from(
      '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
      'hex',
    );
    for (let word = 0; word < 10; word++) driver.write(REG.RSSRK + word, key.readUInt32LE(4 * word));
    const flow = ipFrame('tcp', 100);
    flow.set([66, 9, 149, 187, 161, 142, 100, 80, 2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff], 26);
    const [tcp, ip] = [0x51cc_c178, 0x323e_8fc2];
    // Each entry is a byte.
    const toSecond = (hash: number) =>
      driver.write(REG.RETA + ((hash & 0x7f) >> 2), 0x80 << (8 * (hash & 3)));
    toSecond(tcp);
    driver.write(REG.MRQC, MRQC.RSS | MRQC.TCP_IPV4 | MRQC.IPV4);
    rig.port.receive(flow);
    expect(driver.written('extended', 1).words.slice(0, 2)).toEqual([0x101, tcp]);
    driver.write(REG.MRQC, MRQC.RSS | MRQC.IPV4);
    rig.port.receive(flow, frameTo(MAC_BYTES));
    expect(driver.written('extended', 0, 0).words.slice(0, 2)).toEqual([2, ip]);
    expect(driver.written('extended', 0, 1).words.slice(0, 2)).toEqual([0, 0]);
    expect([driver.read(REG.RDH), driver.read(REG.RDH1)]).toEqual([2, 1]);
  });

  test('wait for room in their queue', () => {
    driver.startReceive('extended');
    driver.write(REG.RDT, 1);
    expect(rig.port.receive(frame, frame)).toBe(1);
    driver.write(REG.RDT, 2);
    expect(driver.read(REG.RDH)).toBe(2);
  });
});

test('the hash matches the RSS verification suite', () => {
  const key = Buffer.from(
    '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
    'hex',
  );
  const source = Buffer.from('3ffe250102001fff0000000000000007', 'hex');
  const target = Buffer.from('3ffe2501020000030000000000000001', 'hex');
  const ports = Buffer.from([2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff]);
  expect([
    toeplitz(key, Buffer.concat([source, target])),
    toeplitz(key, Buffer.concat([source, target, ports])),
  ]).toEqual([0x2cc1_8cd5, 0x4020_7d3d]);
});

describe('sent frames', () => {
  test('are sent from either queue while it is enabled', () => {
    driver.startTransmit();
    driver.send(0, frameTo(BROADCAST_BYTES, 60, 1));
    driver.write(REG.TARC1, 0);
    driver.send(1, frameTo(BROADCAST_BYTES, 60, 2));
    expect(rig.port.sent.map(frame => frame[14]! - 14)).toEqual([1]);
    driver.write(REG.TARC1, TARC_ENABLE);
    expect(rig.port.sent.map(frame => frame[14]! - 14)).toEqual([1, 2]);
    expect([driver.read(REG.TDH), driver.read(REG.TDH1)]).toEqual([1, 1]);
  });

  test('are reported without RS if IVAR requests it', () => {
    driver.startTransmit();
    driver.send(0, frameTo(BROADCAST_BYTES), EOP);
    driver.write(REG.IVAR, IVAR.INT_ON_ALL_WB);
    driver.send(0, frameTo(BROADCAST_BYTES), EOP);
    expect([12, 28].map(at => rig.memory.readU32(TX_RINGS[0]! + at) & DD)).toEqual([0, 1]);
  });
});

describe('interrupts', () => {
  test('assert the pin, and an access to ICR masks them with IAME', () => {
    driver.startReceive();
    driver.write(REG.CTRL_EXT, CTRL_EXT.IAME);
    driver.write(REG.IAM, 0xffff_ffff);
    driver.write(REG.IMS, CAUSE.RXT0);
    rig.port.receive(frameTo(MAC_BYTES));
    expect(rig.interrupts).toBe(true);
    expect(driver.read(REG.ICS)).toBe(CAUSE.RXT0 + CAUSE.INT_ASSERTED);
    expect(driver.read(REG.ICR)).toBe(CAUSE.RXT0 + CAUSE.INT_ASSERTED);
    expect([rig.interrupts, driver.read(REG.IMS), driver.read(REG.ICR)]).toEqual([false, 0, 0]);
    rig.port.receive(frameTo(MAC_BYTES));
    expect(rig.interrupts).toBe(false);
    driver.write(REG.IMS, CAUSE.RXT0);
    expect(rig.interrupts).toBe(true);
    expect([driver.read(REG.IAC), driver.read(REG.IAC)]).toEqual([2, 0]);
  });

  test('send an MSI for each new cause', () => {
    driver.startReceive();
    driver.enableMsi();
    driver.write(REG.IMS, CAUSE.RXT0 | CAUSE.LSC);
    rig.port.receive(frameTo(MAC_BYTES), frameTo(MAC_BYTES));
    expect([driver.messages(MSI), rig.interrupts]).toEqual([[0x50], false]);
    rig.built.capabilities!.nic!.setLink(false);
    expect(driver.messages(MSI)).toEqual([0x50]);
    expect(driver.read(REG.ICR)).toBe(CAUSE.RXT0 + CAUSE.LSC + CAUSE.INT_ASSERTED);
    rig.built.capabilities!.nic!.setLink(true);
    expect(driver.messages(MSI)).toEqual([0x50]);
  });

  test('send the MSI-X message that IVAR assigns to a cause, which clears and masks it', () => {
    driver.startReceive('extended');
    driver.startTransmit();
    driver.enableMsix();
    // Received frames to vector 3, sent ones to 1, and others to 4.
    driver.write(REG.IVAR, 0xc_090b);
    driver.write(REG.CTRL_EXT, CTRL_EXT.EIAME);
    driver.write(REG.IAM, CAUSE.RXQ0);
    driver.write(REG.EIAC, CAUSE.RXQ0 | CAUSE.TXQ0);
    driver.write(REG.IMS, CAUSE.RXQ0 | CAUSE.TXQ0 | CAUSE.OTHER | CAUSE.LSC);
    rig.port.receive(frameTo(MAC_BYTES), frameTo(MAC_BYTES));
    // The second is masked, and waits.
    expect(driver.messages(MSIX + 3)).toEqual([0x43]);
    expect(driver.read(REG.IMS) & CAUSE.RXQ0).toBe(0);
    driver.write(REG.IMS, CAUSE.RXQ0);
    expect(driver.messages(MSIX + 3)).toEqual([0x43]);
    driver.send(0, frameTo(BROADCAST_BYTES));
    driver.send(0, frameTo(BROADCAST_BYTES));
    expect(driver.messages(MSIX + 1)).toEqual([0x41, 0x41]);
    rig.built.capabilities!.nic!.setLink(false);
    expect([driver.messages(MSIX + 4), rig.interrupts]).toEqual([[0x44], false]);
    const other = CAUSE.LSC + CAUSE.OTHER + CAUSE.INT_ASSERTED;
    expect(driver.read(REG.ICR) & ~CAUSE.TXQE).toBe(other | 0);
    expect([0, 2].map(vector => driver.messages(MSIX + vector))).toEqual([[], []]);
  });

  test('are not lost with MSI-X by a read of ICR', () => {
    driver.startReceive('extended');
    driver.enableMsix();
    driver.write(REG.IVAR, 0x8);
    driver.write(REG.IMS, CAUSE.OTHER);
    rig.port.receive(frameTo(MAC_BYTES));
    expect([driver.read(REG.ICR), driver.messages(MSIX)]).toEqual([CAUSE.RXQ0, []]);
    driver.write(REG.IMS, CAUSE.RXQ0);
    expect(driver.messages(MSIX)).toEqual([0x40]);
  });

  test('with the cause OTHER clear the causes that it covers', () => {
    driver.enableMsix();
    driver.write(REG.IMS, CAUSE.OTHER);
    driver.write(REG.ICS, CAUSE.RXO);
    expect(driver.read(REG.ICS)).toBe(CAUSE.RXO + CAUSE.OTHER + CAUSE.INT_ASSERTED);
    driver.write(REG.ICR, CAUSE.OTHER);
    expect(driver.read(REG.ICS)).toBe(0);
  });

  test('are limited by EITR, and delayed by RDTR', () => {
    const { clock } = rig.machine;
    driver.startReceive('extended', RCTL.BAM | (2 << RCTL.thresholdShift));
    driver.startTransmit();
    driver.enableMsix();
    driver.write(REG.IVAR, 0x908);
    driver.write(REG.EIAC, CAUSE.RXQ0 | CAUSE.TXQ0);
    driver.write(REG.IMS, CAUSE.RXQ0 | CAUSE.TXQ0);
    // 10 ms of 256 ns.
    driver.write(REG.EITR, 39_063);
    rig.port.receive(frameTo(MAC_BYTES), frameTo(MAC_BYTES));
    driver.send(0, frameTo(BROADCAST_BYTES));
    expect([driver.messages(MSIX), driver.messages(MSIX + 1)]).toEqual([[0x40], [0x41]]);
    clock.advance(9);
    expect(driver.messages(MSIX)).toEqual([]);
    clock.advance(2);
    expect(driver.messages(MSIX)).toEqual([0x40]);
    driver.write(REG.EITR, 0);
    // 2 ms of 1.024 µs.
    driver.write(REG.RDTR, 1953);
    driver.write(REG.TIDV, 1953);
    rig.port.receive(frameTo(MAC_BYTES));
    driver.send(0, frameTo(BROADCAST_BYTES), (EOP | RS) + IDE);
    expect([driver.messages(MSIX), driver.messages(MSIX + 1)]).toEqual([[], []]);
    clock.advance(3);
    expect([driver.messages(MSIX), driver.messages(MSIX + 1)]).toEqual([[0x40], [0x41]]);
  });
});

test('a card with pending interrupts continues after save and load', () => {
  driver.startReceive('extended');
  driver.enableMsix();
  driver.write(REG.IVAR, 0x8);
  driver.write(REG.IMS, CAUSE.RXQ0);
  driver.write(REG.RDTR, 1953);
  driver.write(REG.TIMINCA, (1 << 24) | 40);
  rig.machine.clock.advance(1);
  rig.port.receive(frameTo(MAC_BYTES));
  rig.quiesce();
  const state = structuredClone(rig.built.device.save());
  const other = new Driver();
  other.rig.quiesce();
  other.rig.built.device.load(state);
  other.rig.built.device.resume!();
  expect(other.read(REG.SYSTIML)).toBe(1_000_000);
  expect(other.messages(MSIX)).toEqual([]);
  other.rig.machine.clock.advance(3);
  expect(other.messages(MSIX)).toEqual([0x40]);
});

test('statistics are counted', () => {
  driver.startReceive();
  rig.port.receive(frameTo(MAC_BYTES, 60), frameTo(BROADCAST_BYTES, 200));
  const { GPRC, BPRC } = STATISTIC;
  expect([GPRC, BPRC, GPRC].map(each => driver.read(each))).toEqual([2, 1, 0]);
});

test.each([1, 2, 3, 4])(
  'whatever a driver does with rings, filters and vectors, it neither throws nor hangs (%i)',
  seed => {
    const random = new Random(seed);
    const registers = Object.values(REG);
    const formats = ['legacy', 'extended', 'split'] as const;
    for (let round = 0; round < 3000; round++) {
      switch (random.below(9)) {
        case 0:
          driver.startReceive(random.pick(formats), random.u32() & ~(RCTL.EN | RCTL.DTYP_SPLIT));
          break;
        case 1:
          driver.startTransmit();
          break;
        case 2:
          rig.port.receive(
            random.pick([
              frameTo(random.pick([MAC_BYTES, BROADCAST_BYTES]), 14 + random.below(9000)),
              ipFrame(random.pick(['tcp', 'udp']), random.below(9000)),
            ]),
          );
          rig.port.drain(random.below(5));
          break;
        case 3:
        case 4:
          driver.send(random.below(2), frameTo(BROADCAST_BYTES, 60), random.u32());
          driver.rig.memory.writeU32(TX_RINGS[0]! + 4 * random.below(32), random.u32());
          driver.rig.memory.writeU32(RX_RINGS[0]! + 4 * random.below(64), random.u32());
          break;
        case 5:
          rig.machine.clock.advance(random.below(5));
          break;
        case 6:
          if (random.below(2) === 0) driver.enableMsix();
          else driver.enableMsi();
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
