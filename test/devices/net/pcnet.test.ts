import { describe, expect, it } from 'vitest';
import { pcnet } from '../../../src/devices/net/pcnet/row.ts';
import { BROADCAST_BYTES, frameTo, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';

/** Bits of CSR0 (Am79C973 data sheet). */
const [INIT, STRT, STOP, TDMD, TXON, RXON, IENA, INTR] = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80];
const [IDON, TINT, RINT, MERR, MISS, BABL, ERR] = [0x100, 0x200, 0x400, 0x800, 0x1000, 0x4000, 0x8000];
/** Of the state of descriptors. */
const [OWN, STP, ENP] = [0x8000, 0x200, 0x100];

const INIT_BLOCK = 0x800;
const RX_RING = 0x1000;
const TX_RING = 0x2000;
const BUFFERS = 0x8000;
const DATA = 0x4000;

/** A card with rings of four descriptors in a software style. */
class Card extends NicRig {
  readonly #style: number;

  constructor(style: number, mode = 0) {
    super(pcnet);
    this.#style = style;
    this.in(0x14, 2);
    this.bcr(20, style);
    const { memory } = this;
    memory.writeU16(INIT_BLOCK, mode);
    const isLong = style > 0;
    if (isLong) memory.writeU16(INIT_BLOCK + 2, 0x2020);
    memory.writable(INIT_BLOCK + (isLong ? 4 : 2), 6).set(MAC_BYTES);
    const rings = INIT_BLOCK + (isLong ? 20 : 16);
    const length = isLong ? 0 : 0x4000_0000;
    memory.writeU32(rings, RX_RING + length);
    memory.writeU32(rings + 4, TX_RING + length);
    this.csr(1, INIT_BLOCK);
    this.csr(2, 0);
    this.csr(0, INIT);
  }

  csr(register: number, value?: number): number {
    this.out(0x12, 2, register);
    if (value === undefined) return this.in(0x10, 2);
    this.out(0x10, 2, value);
    return value;
  }

  bcr(register: number, value?: number): number {
    this.out(0x12, 2, register);
    if (value === undefined) return this.in(0x16, 2);
    this.out(0x16, 2, value);
    return value;
  }

  put(ring: number, index: number, state: number, address: number, bytes: number): void {
    const { memory } = this;
    const count = (0xf000 | (-bytes & 0xfff)) >>> 0;
    if (this.#style === 0) {
      const at = ring + 8 * index;
      memory.writeU16(at, address & 0xffff);
      memory.writeU16(at + 4, count);
      memory.writeU16(at + 6, 0);
      memory.writeU16(at + 2, state | (address >> 16));
      return;
    }
    const at = ring + 16 * index;
    memory.writeU32(at + (this.#style === 3 ? 8 : 0), address);
    memory.writeU32(at + (this.#style === 3 ? 0 : 8), 0);
    memory.writeU32(at + 4, ((state << 16) | count) >>> 0);
  }

  state(ring: number, index: number): number {
    const at = this.#style === 0 ? ring + 8 * index + 2 : ring + 16 * index + 6;
    return this.memory.readU16(at) & (this.#style === 0 ? 0xff00 : 0xffff);
  }

  /** What a receive descriptor says of the frame's length, or a transmit descriptor of its error. */
  details(ring: number, index: number): number {
    if (this.#style === 0) return this.memory.readU16(ring + 8 * index + 6);
    return this.memory.readU32(ring + 16 * index + (this.#style === 3 ? 0 : 8));
  }

  receiveBuffers(bytes: number): void {
    for (let index = 0; index < 4; index++) this.put(RX_RING, index, OWN, BUFFERS + 0x1000 * index, bytes);
  }

  send(index: number, frame: Uint8Array): void {
    this.memory.writable(DATA, frame.length).set(frame);
    this.put(TX_RING, index, OWN | STP | ENP, DATA, frame.length);
    this.csr(0, IENA | TDMD);
  }
}

function started(style = 2, mode = 0): Card {
  const card = new Card(style, mode);
  card.csr(0, STRT | IENA | IDON);
  return card;
}

describe('registers', () => {
  it('are accessed by words after a reset, and by double words after a 32-bit write', () => {
    const rig = new NicRig(pcnet);
    rig.in(0x14, 2);
    rig.out(0x12, 2, 0);
    expect(rig.in(0x10, 2)).toBe(STOP);
    rig.out(0x12, 2, 88);
    expect([rig.in(0x12, 2), rig.in(0x10, 2)]).toEqual([88, 0x5003]);
    expect(rig.in(0x10, 4)).toBe(0xffff_ffff);
    rig.out(0x10, 4, 0);
    rig.out(0x14, 4, 89);
    expect([rig.in(0x14, 4), rig.in(0x10, 4), rig.in(0x10, 2)]).toEqual([89, 0x262, 0xffff]);
    rig.out(0x14, 4, 18);
    expect(rig.in(0x1c, 4)).toBe(0x9081);
    // A reset by the driver does not change that; power-on does.
    rig.in(0x18, 4);
    expect(rig.in(0x1c, 4)).toBe(0x9081);
    rig.quiesce();
    rig.built.device.reset();
    expect(rig.in(0x14, 4)).toBe(0xffff_ffff);
  });

  it('have the address in the PROM and in CSR12 to CSR14', () => {
    const card = new Card(2);
    card.in(0x14, 2);
    expect([0, 1, 2, 3, 4, 5].map(at => card.in(at, 1))).toEqual([...MAC_BYTES]);
    expect([12, 13, 14].map(register => card.csr(register))).toEqual([0x5452, 0x1200, 0x5634]);
    const prom = Array.from({ length: 16 }, (_, at) => card.in(at, 1));
    expect(prom.slice(14)).toEqual([0x57, 0x57]);
    expect(prom[12]! | (prom[13]! << 8)).toBe(0x52 + 0x54 + 0x12 + 0x34 + 0x56 + 2 * 0x57);
  });

  it('with addresses can be changed only while the card is stopped', () => {
    const card = started();
    card.csr(15, 0x8000);
    expect(card.csr(15)).toBe(0);
    card.csr(5, 1);
    card.csr(15, 0x8000);
    expect([card.csr(5) & 1, card.csr(15)]).toEqual([1, 0x8000]);
    card.csr(0, STOP);
    expect([card.csr(0), card.csr(5) & 1]).toEqual([STOP, 0]);
  });

  it('show the link, and a PHY that has negotiated', () => {
    const card = new Card(2);
    card.bcr(33, (0x1e << 5) | 1);
    expect([card.bcr(4), card.bcr(34)]).toEqual([0x80c0, 0x782d]);
    card.built.capabilities!.nic!.setLink(false);
    expect([card.bcr(4), card.bcr(34)]).toEqual([0x00c0, 0x7809]);
    card.bcr(33, 1);
    expect(card.bcr(34)).toBe(0xffff);
  });
});

describe.each([0, 1, 2, 3])('software style %i', style => {
  it('is set up by its initialization block', () => {
    const card = new Card(style, 0x8000);
    expect(card.csr(0) & (INIT | IDON | STOP | INTR)).toBe(INIT | IDON | INTR);
    expect([card.csr(15), card.csr(12), card.csr(76), card.csr(78)]).toEqual([
      0x8000, 0x5452, 0xfffc, 0xfffc,
    ]);
    expect([card.csr(24), card.csr(30)]).toEqual([RX_RING, TX_RING]);
    card.csr(0, STRT | IENA);
    expect(card.csr(0) & (TXON | RXON)).toBe(TXON | RXON);
    expect(card.interrupts).toBe(true);
    card.csr(0, IENA | IDON);
    expect(card.interrupts).toBe(false);
  });

  it('sends from one or several buffers', () => {
    const card = started(style);
    for (let index = 0; index < 5; index++) {
      card.send(index % 4, frameTo(BROADCAST_BYTES, 100, index));
      expect(card.state(TX_RING, index % 4)).toBe(STP | ENP);
    }
    expect(card.port.sent).toEqual([0, 1, 2, 3, 4].map(seed => frameTo(BROADCAST_BYTES, 100, seed)));
    expect([card.csr(0) & TINT, card.interrupts]).toEqual([TINT, true]);
    const frame = frameTo(BROADCAST_BYTES, 300);
    card.memory.writable(DATA, 300).set(frame);
    card.put(TX_RING, 1, OWN | STP, DATA, 100);
    card.csr(0, IENA | TDMD);
    expect(card.port.sent.length).toBe(5);
    card.put(TX_RING, 2, OWN, DATA + 100, 150);
    card.put(TX_RING, 3, OWN | ENP, DATA + 250, 50);
    card.csr(0, IENA | TDMD);
    expect(card.port.sent[5]).toEqual(frame);
    expect([1, 2, 3].map(index => card.state(TX_RING, index))).toEqual([STP, 0, ENP]);
  });

  it('receives into one or several buffers', () => {
    const card = started(style);
    card.receiveBuffers(256);
    card.port.receive(frameTo(MAC_BYTES, 100), frameTo(BROADCAST_BYTES, 600));
    const hasMatchBits = style > 0;
    expect(card.state(RX_RING, 0)).toBe(STP | ENP | (hasMatchBits ? 0x40 : 0));
    expect(card.details(RX_RING, 0) & 0xfff).toBe(104);
    expect(card.memory.readable(BUFFERS, 100)).toEqual(frameTo(MAC_BYTES, 100));
    expect([1, 2, 3].map(index => card.state(RX_RING, index))).toEqual([
      STP,
      0,
      ENP | (hasMatchBits ? 0x10 : 0),
    ]);
    expect(card.details(RX_RING, 3) & 0xfff).toBe(604);
    expect([card.csr(0) & RINT, card.interrupts]).toEqual([RINT, true]);
  });
});

describe('the transmitter', () => {
  it('polls for packets, and sends when the wire accepts them', () => {
    const card = started();
    card.port.room = 0;
    card.memory.writable(DATA, 60).set(frameTo(BROADCAST_BYTES, 60));
    card.put(TX_RING, 0, OWN | STP | ENP, DATA, 60);
    card.put(TX_RING, 1, OWN | STP | ENP, DATA, 60);
    expect(card.state(TX_RING, 0)).toBe(OWN | STP | ENP);
    card.machine.clock.advance(5);
    expect([card.state(TX_RING, 0), card.state(TX_RING, 1)]).toEqual([STP | ENP, OWN | STP | ENP]);
    card.port.drain();
    expect([card.port.sent.length, card.state(TX_RING, 1)]).toEqual([2, STP | ENP]);
    // It does not poll when polling is disabled.
    card.csr(4, 0x1915);
    card.csr(0, STOP);
    card.csr(0, STRT | IENA);
    card.put(TX_RING, 2, OWN | STP | ENP, DATA, 60);
    card.machine.clock.advance(500);
    expect(card.port.sent.length).toBe(2);
    card.csr(0, TDMD);
    expect(card.port.sent.length).toBe(3);
  });

  it('pads short packets if enabled, and reports one that is too long', () => {
    const card = started();
    card.send(0, frameTo(BROADCAST_BYTES, 20));
    card.csr(4, 0x0915);
    card.send(1, frameTo(BROADCAST_BYTES, 20));
    expect(card.port.sent.map(({ length }) => length)).toEqual([20, 60]);
    card.send(2, frameTo(BROADCAST_BYTES, 1600));
    expect(card.csr(0) & (BABL | ERR)).toBe(BABL | ERR);
  });

  it('interrupts only for marked packets if configured', () => {
    const card = started();
    card.csr(5, 0x4000);
    card.send(0, frameTo(BROADCAST_BYTES));
    expect(card.csr(0) & TINT).toBe(0);
    card.put(TX_RING, 1, OWN | 0x1000 | STP | ENP, DATA, 60);
    card.csr(0, TDMD);
    expect(card.csr(0) & TINT).toBe(TINT);
  });

  it('stops at a packet without an end, and at one outside memory', () => {
    const card = started();
    for (let index = 0; index < 4; index++) card.put(TX_RING, index, OWN | STP, DATA, 60);
    card.csr(0, IENA | TDMD);
    expect([card.port.sent.length, card.csr(0) & TXON, card.state(TX_RING, 3) & 0x4000]).toEqual([
      0, 0, 0x4000,
    ]);
    const other = started();
    other.put(TX_RING, 0, OWN | STP | ENP, 0xf000_0000, 60);
    other.csr(0, IENA | TDMD);
    expect(other.csr(0) & (MERR | TXON | RXON | ERR)).toBe(MERR | ERR);
  });

  it('receives its own packets in loopback mode', () => {
    const card = started(2, 0x0044);
    card.receiveBuffers(1536);
    card.send(0, frameTo(MAC_BYTES));
    expect([card.port.sent.length, card.csr(0) & (TINT | RINT)]).toEqual([0, TINT | RINT]);
    expect(card.memory.readable(BUFFERS, 64)).toEqual(frameTo(MAC_BYTES));
  });
});

describe('the receiver', () => {
  it('holds frames until there are buffers, and counts missed frames', () => {
    const card = started();
    card.receiveBuffers(1536);
    const frames = [1, 2, 3, 4, 5].map(seed => frameTo(MAC_BYTES, 60, seed));
    expect(card.port.receive(...frames)).toBe(1);
    card.machine.clock.advance(50);
    expect(card.port.receive()).toBe(1);
    card.receiveBuffers(64);
    card.machine.clock.advance(300);
    expect(card.port.receive()).toBe(0);
    card.receiveBuffers(64);
    card.port.receive(frameTo(MAC_BYTES, 1000));
    expect([card.csr(0) & (MISS | ERR), card.csr(112)]).toEqual([MISS | ERR, 1]);
  });

  it('filters by address, broadcast, and multicast hash', () => {
    const group = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x01);
    const other = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
    const taken = (mode: number, target: Uint8Array, hash: readonly [number, number] = [8, 0]) => {
      const card = new Card(2, mode);
      card.csr(0, STOP);
      card.csr(hash[0], hash[1]);
      card.csr(0, STRT);
      card.receiveBuffers(1536);
      card.port.receive(frameTo(target));
      return (card.csr(0) & RINT) === 0 ? null : card.state(RX_RING, 0) & 0x70;
    };
    expect(taken(0, MAC_BYTES)).toBe(0x40);
    expect(taken(0x2000, MAC_BYTES)).toBe(null);
    expect(taken(0, other)).toBe(null);
    expect(taken(0x8000, other)).toBe(0);
    expect(taken(0, BROADCAST_BYTES)).toBe(0x10);
    expect(taken(0x4000, BROADCAST_BYTES)).toBe(null);
    expect(taken(0, group)).toBe(null);
    // One bit of 64 lets it pass.
    const hits = [8, 9, 10, 11].flatMap(csr =>
      Array.from({ length: 16 }, (_, bit) => bit)
        .filter(bit => taken(0, group, [csr, 1 << bit]) === 0x20)
        .map(bit => 16 * (csr - 8) + bit),
    );
    expect(hits.length).toBe(1);
  });

  it('strips padding if enabled', () => {
    const card = new Card(2);
    card.csr(4, 0x0515);
    card.csr(0, STRT | IENA);
    card.receiveBuffers(1536);
    const frame = frameTo(MAC_BYTES, 60);
    frame.set([0, 10], 12);
    card.port.receive(frame);
    expect(card.details(RX_RING, 0)).toBe(24);
  });

  it('waits while the card is suspended', () => {
    const card = started();
    card.receiveBuffers(1536);
    card.csr(5, 1);
    expect(card.port.receive(frameTo(MAC_BYTES))).toBe(1);
    card.csr(5, 0);
    expect([card.port.receive(), card.csr(0) & RINT]).toEqual([0, RINT]);
  });
});
