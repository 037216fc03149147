import { describe, expect, it } from 'vitest';
import { ne2kIsa, ne2kPci } from '../../../src/devices/net/ne2k/rows.ts';
import { BROADCAST_BYTES, frameTo, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';

/** Registers (DP8390D data sheet, section 10.3), by page. */
const CR = 0;
const [PSTART, PSTOP, BNRY, TPSR, TBCR, ISR, RSAR, RBCR] = [1, 2, 3, 4, 5, 7, 8, 10];
const [RCR, TCR, DCR, IMR] = [12, 13, 14, 15];
const [TSR, RSR, CNTR2, FIFO] = [4, 12, 15, 6];
const [PAR, CURR, MAR] = [1, 7, 8];
const [DATA, RESET] = [0x10, 0x1f];
const [PRX, PTX, OVW, RDC, RST] = [0x01, 0x02, 0x10, 0x40, 0x80];

const FIRST = 0x46;
const END = 0x80;

const ROWS = [
  ['ne2k_pci', ne2kPci],
  ['ne2k_isa', ne2kIsa],
] as const;

/** A card as Linux's 8390 sets it up. */
function started(row: (typeof ROWS)[number][1] = ne2kPci, rcr = 0x04) {
  const rig = new NicRig(row);
  rig.out(CR, 1, 0x21);
  rig.out(DCR, 1, 0x49);
  rig.out(TCR, 1, 0x02);
  rig.out(PSTART, 1, FIRST);
  rig.out(PSTOP, 1, END);
  rig.out(BNRY, 1, END - 1);
  rig.out(ISR, 1, 0xff);
  rig.out(CR, 1, 0x61);
  for (const [at, byte] of MAC_BYTES.entries()) rig.out(PAR + at, 1, byte);
  rig.out(CURR, 1, FIRST);
  rig.out(CR, 1, 0x22);
  rig.out(IMR, 1, 0x3f);
  rig.out(TCR, 1, 0);
  rig.out(RCR, 1, rcr);
  return rig;
}

function startRemote(rig: NicRig, address: number, bytes: number, command: number) {
  rig.out(RBCR, 1, bytes & 0xff);
  rig.out(RBCR + 1, 1, bytes >> 8);
  rig.out(RSAR, 1, address & 0xff);
  rig.out(RSAR + 1, 1, address >> 8);
  rig.out(CR, 1, command);
}

function readRemote(rig: NicRig, address: number, bytes: number, size: 1 | 2 | 4 = 2): Uint8Array {
  startRemote(rig, address, bytes, 0x0a);
  const read: number[] = [];
  for (let at = 0; at < bytes; at += size) {
    const value = rig.in(DATA, size);
    for (let i = 0; i < size; i++) read.push((value >>> (8 * i)) & 0xff);
  }
  return Uint8Array.from(read);
}

function writeRemote(rig: NicRig, address: number, bytes: Uint8Array, size: 2 | 4 = 2) {
  startRemote(rig, address, bytes.length, 0x12);
  for (let at = 0; at < bytes.length; at += size) {
    let value = 0;
    for (let i = 0; i < size; i++) value |= bytes[at + i]! << (8 * i);
    rig.out(DATA, size, value >>> 0);
  }
}

const curr = (rig: NicRig) => {
  rig.out(CR, 1, 0x62);
  const page = rig.in(CURR, 1);
  rig.out(CR, 1, 0x22);
  return page;
};

describe.each(ROWS)('%s', (_, row) => {
  it('is detected by its reset, and has its address in the PROM, each byte twice', () => {
    const rig = new NicRig(row);
    rig.out(ISR, 1, 0xff);
    rig.out(RESET, 1, rig.in(RESET, 1));
    expect(rig.in(ISR, 1)).toBe(RST);
    rig.out(DCR, 1, 0x48);
    const prom = readRemote(rig, 0, 32, 1);
    expect(prom).toEqual(
      Uint8Array.from({ length: 32 }, (_, at) => [...MAC_BYTES, ...Array(8).fill(0), 0x57, 0x57][at >> 1]!),
    );
    expect(rig.in(ISR, 1) & RDC).toBe(RDC);
  });

  it('has 16 KiB of RAM at 0x4000, and nothing elsewhere', () => {
    const rig = started(row);
    const bytes = Uint8Array.from({ length: 8 }, (_, at) => at + 1);
    writeRemote(rig, 0x4000, bytes);
    writeRemote(rig, 0x7ff8, bytes, 4);
    writeRemote(rig, 0x2000, bytes);
    expect(readRemote(rig, 0x4000, 8, 4)).toEqual(bytes);
    // From its end it goes on at the beginning of the ring.
    expect(readRemote(rig, 0x7ff8, 8)).toEqual(bytes);
    expect(rig.in(RSAR, 1) | (rig.in(RSAR + 1, 1) << 8)).toBe(0x4600);
    expect(readRemote(rig, 0x2000, 8)).toEqual(new Uint8Array(8).fill(0xff));
    expect(rig.in(DATA, 2)).toBe(0xffff);
  });

  it('interrupts for empty remote DMA, by which drivers probe for its interrupt', () => {
    const rig = new NicRig(row);
    rig.out(IMR, 1, 0x50);
    startRemote(rig, 0, 0, 0x0a);
    expect([rig.in(ISR, 1) & RDC, rig.interrupts]).toEqual([RDC, true]);
    rig.out(IMR, 1, 0);
    expect(rig.interrupts).toBe(false);
  });

  it('sends a packet from its memory', () => {
    const rig = started(row);
    const frame = frameTo(BROADCAST_BYTES, 100);
    writeRemote(rig, 0x4000, frame);
    rig.out(TPSR, 1, 0x40);
    rig.out(TBCR, 1, 100);
    rig.out(TBCR + 1, 1, 0);
    rig.port.room = 0;
    rig.port.drain(1);
    rig.out(CR, 1, 0x26);
    expect(rig.port.sent).toEqual([frame]);
    expect([rig.in(ISR, 1) & PTX, rig.in(TSR, 1), rig.in(CR, 1), rig.interrupts]).toEqual([
      PTX,
      1,
      0x22,
      true,
    ]);
  });

  it('receives into its ring, with a header', () => {
    const rig = started(row);
    rig.port.receive(frameTo(MAC_BYTES, 300), frameTo(BROADCAST_BYTES, 20));
    expect([rig.in(ISR, 1) & PRX, rig.interrupts, curr(rig)]).toEqual([PRX, true, FIRST + 3]);
    expect(readRemote(rig, 0x4600, 4)).toEqual(Uint8Array.of(0x01, FIRST + 2, 304 & 0xff, 304 >> 8));
    expect(readRemote(rig, 0x4604, 300)).toEqual(frameTo(MAC_BYTES, 300));
    expect(readRemote(rig, 0x4800, 4)).toEqual(Uint8Array.of(0x21, FIRST + 3, 64, 0));
    expect(rig.in(RSR, 1)).toBe(0x21);
  });
});

describe('the DP8390', () => {
  it('wraps a packet at the end of the ring, and keeps frames until there is room', () => {
    const rig = started();
    const frame = frameTo(MAC_BYTES, 1000);
    // 58 pages, 4 for each, of which one stays free.
    expect(rig.port.receive(...Array.from({ length: 16 }, () => frame))).toBe(2);
    expect(curr(rig)).toBe(FIRST + 56);
    rig.out(BNRY, 1, FIRST + 4);
    expect(rig.port.receive()).toBe(1);
    expect(curr(rig)).toBe(FIRST + 2);
    const wrapped = readRemote(rig, 0x100 * (FIRST + 56), 1004);
    expect(wrapped.subarray(4)).toEqual(frame);
    expect(wrapped.subarray(0, 2)).toEqual(Uint8Array.of(0x01, FIRST + 2));
    rig.out(BNRY, 1, END - 1);
    expect(rig.port.receive()).toBe(0);
    expect(rig.in(ISR, 1) & OVW).toBe(0);
  });

  it('notifies a driver again that acknowledged a packet without reading it, while another one waits', () => {
    const rig = started();
    const frame = frameTo(MAC_BYTES, 1500);
    expect(rig.port.receive(...Array.from({ length: 12 }, () => frame))).toBeGreaterThan(0);
    rig.out(ISR, 1, PRX);
    expect([rig.in(ISR, 1) & PRX, rig.interrupts]).toEqual([PRX, true]);
    rig.out(BNRY, 1, FIRST + 50);
    expect(rig.port.receive()).toBe(0);
    rig.out(ISR, 1, PRX);
    expect([rig.in(ISR, 1) & PRX, rig.interrupts]).toEqual([0, false]);
  });

  it('notifies a driver that left packets in the ring of one that does not fit', () => {
    const rig = started();
    const frame = frameTo(MAC_BYTES, 1500);
    expect(rig.port.receive(...Array.from({ length: 9 }, () => frame))).toBe(0);
    rig.out(ISR, 1, PRX);
    expect([rig.in(ISR, 1) & PRX, rig.interrupts]).toEqual([0, false]);
    expect(rig.port.receive(frame)).toBe(1);
    expect([rig.in(ISR, 1) & PRX, rig.interrupts]).toEqual([PRX, true]);
  });

  it('reports an overwrite when the ring is too small for a frame', () => {
    const rig = started();
    rig.out(PSTOP, 1, FIRST + 4);
    rig.out(BNRY, 1, FIRST + 3);
    expect(rig.port.receive(frameTo(MAC_BYTES, 1000))).toBe(0);
    expect([rig.in(ISR, 1) & OVW, rig.in(CNTR2, 1), rig.in(CNTR2, 1)]).toEqual([OVW, 1, 0]);
  });

  it('filters by address, and multicast by hash', () => {
    const group = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x01);
    const other = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
    const taken = (rcr: number, target: Uint8Array, mar: readonly [number, number] = [0, 0]) => {
      const rig = started(ne2kPci, rcr);
      rig.out(CR, 1, 0x62);
      rig.out(MAR + mar[0], 1, mar[1]);
      rig.out(CR, 1, 0x22);
      rig.port.receive(frameTo(target));
      return (rig.in(ISR, 1) & PRX) !== 0;
    };
    expect(taken(0x00, MAC_BYTES)).toBe(true);
    expect(taken(0x00, other)).toBe(false);
    expect(taken(0x10, other)).toBe(true);
    expect(taken(0x10, BROADCAST_BYTES)).toBe(false);
    expect(taken(0x04, BROADCAST_BYTES)).toBe(true);
    expect(taken(0x08, group)).toBe(false);
    expect(taken(0x08, group, [3, 0x80])).toBe(true);
    expect(taken(0x00, group, [3, 0x80])).toBe(false);
    // Monitor mode counts what it would have received.
    const rig = started(ne2kPci, 0x20);
    rig.port.receive(frameTo(MAC_BYTES));
    expect([rig.in(ISR, 1) & PRX, rig.in(CNTR2, 1)]).toEqual([0, 1]);
  });

  it('receives its own packets in loopback mode, with the end in its FIFO', () => {
    const rig = started();
    rig.out(TCR, 1, 0x02);
    writeRemote(rig, 0x4000, frameTo(MAC_BYTES, 64));
    rig.out(TPSR, 1, 0x40);
    rig.out(TBCR, 1, 64);
    rig.out(CR, 1, 0x26);
    expect([rig.port.sent.length, rig.in(ISR, 1) & (PRX | PTX), rig.in(RSR, 1)]).toEqual([0, PTX, 1]);
    const fifo = Array.from({ length: 8 }, () => rig.in(FIFO, 1));
    expect([fifo[0], ...fifo.slice(5)]).toEqual([63, 68, 0, 0]);
  });

  it('advances the boundary after sending a packet by remote DMA', () => {
    const rig = started();
    rig.port.receive(frameTo(MAC_BYTES, 60));
    rig.out(BNRY, 1, FIRST);
    rig.out(CR, 1, 0x1a);
    const words = Array.from({ length: 34 }, () => rig.in(DATA, 2));
    expect(words[1]).toBe(64);
    expect([rig.in(ISR, 1) & RDC, rig.in(BNRY, 1)]).toEqual([RDC, FIRST + 1]);
  });

  it('receives nothing while it is stopped', () => {
    const rig = started();
    rig.out(CR, 1, 0x21);
    rig.port.receive(frameTo(MAC_BYTES));
    expect(rig.in(ISR, 1)).toBe(RST);
    rig.out(CR, 1, 0x22);
    expect(rig.in(ISR, 1)).toBe(0);
  });

  it('rejects a packet that exceeds a frame', () => {
    const rig = started();
    rig.out(TBCR + 1, 1, 0x7f);
    rig.out(CR, 1, 0x26);
    expect([rig.port.sent.length, rig.in(ISR, 1) & 0x08]).toEqual([0, 0x08]);
  });
});

describe("Realtek's chip", () => {
  it('has its ID and its own register page', () => {
    const rig = new NicRig(ne2kPci);
    expect([rig.in(10, 1), rig.in(11, 1)]).toEqual([0x50, 0x43]);
    rig.out(CR, 1, 0xe1);
    rig.out(6, 1, 0x40);
    expect(rig.in(6, 1)).toBe(0);
    rig.out(1, 1, 0xc0);
    rig.out(6, 1, 0x40);
    expect(rig.in(6, 1)).toBe(0x40);
  });
});
