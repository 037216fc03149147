import { describe, expect, it } from 'vitest';
import { rtl8139 } from '../../../src/devices/net/rtl8139/row.ts';
import { BROADCAST_BYTES, frameTo, ipFrame, ipSums, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';

/** Registers (RTL8139C+ data sheet 1.6, section 6). */
const [TSD0, TSAD0, RBSTART, CR, CAPR, CBR, IMR, ISR] = [0x10, 0x20, 0x30, 0x37, 0x38, 0x3a, 0x3c, 0x3e];
const [TCR, RCR, TCTR, MPC, CR9346, CONFIG1, TIMER_INT, MSR] = [
  0x40, 0x44, 0x48, 0x4c, 0x50, 0x52, 0x54, 0x58,
];
const [BMCR, BMSR, TPPOLL, CPCR, RDSAR] = [0x62, 0x64, 0xd9, 0xe0, 0xe4];
const [TNPDS, DTCCR] = [0x20, 0x10];
const [ROK, TOK, RXOVW, LINK, TIMEOUT, SERR] = [0x1, 0x4, 0x10, 0x20, 0x4000, 0x8000];
const [OWN, EOR, FS, LS] = [0x8000_0000, 0x4000_0000, 0x2000_0000, 0x1000_0000];

const BUFFER = 0x2_0000;
const RX_RING = 0x1000;
const TX_RING = 0x2000;
const DATA = 0x4000;

/** A card as a driver of the older chips sets it up: all frames to it, and those to everybody, into 8 KiB. */
function classic(rcr = 0x0a) {
  const rig = new NicRig(rtl8139);
  rig.out(CR, 1, 0x0c);
  rig.out(RBSTART, 4, BUFFER);
  rig.out(RCR, 4, rcr);
  rig.out(IMR, 2, 0xe1ff);
  return rig;
}

/** The same in C+ mode, with rings of four descriptors. */
function cplus(cpcr = 0x03) {
  const rig = new NicRig(rtl8139);
  rig.out(CPCR, 2, cpcr);
  rig.out(RDSAR, 4, RX_RING);
  rig.out(RDSAR + 4, 4, 0);
  rig.out(TNPDS, 4, TX_RING);
  rig.out(TNPDS + 4, 4, 0);
  rig.out(CR, 1, 0x0c);
  rig.out(RCR, 4, 0x0a);
  rig.out(IMR, 2, 0xe1ff);
  return rig;
}

function put(rig: NicRig, ring: number, index: number, options: number, address: number, options2 = 0) {
  const at = ring + 16 * index;
  rig.memory.writeU32(at + 4, options2);
  rig.memory.writeU64(at + 8, BigInt(address));
  rig.memory.writeU32(at, options >>> 0);
}

function receiveBuffers(rig: NicRig, size: number, count = 4) {
  for (let index = 0; index < count; index++)
    put(rig, RX_RING, index, OWN | (index === count - 1 ? EOR : 0) | size, BUFFER + 0x1000 * index);
}

/** Sends bytes as one packet from one descriptor. */
function send(rig: NicRig, bytes: Uint8Array, options: number, options2 = 0) {
  rig.memory.writable(DATA, bytes.length).set(bytes);
  put(rig, TX_RING, 0, OWN | FS | LS | EOR | options | bytes.length, DATA, options2);
  rig.out(TPPOLL, 1, 0x40);
}

function readEeprom(rig: NicRig, word: number): number {
  rig.out(CR9346, 1, 0x88);
  for (let bit = 10; bit >= 0; bit--) {
    const data = ((((0b110 << 6) | word) >> bit) & 1) << 1;
    rig.out(CR9346, 1, 0x88 | data);
    rig.out(CR9346, 1, 0x8c | data);
  }
  let value = 0;
  for (let bit = 0; bit < 16; bit++) {
    rig.out(CR9346, 1, 0x88);
    rig.out(CR9346, 1, 0x8c);
    value = (value << 1) | (rig.in(CR9346, 1) & 1);
  }
  rig.out(CR9346, 1, 0);
  return value;
}

describe('identity', () => {
  it('has its address in the registers and in the EEPROM', () => {
    const rig = new NicRig(rtl8139);
    expect([0, 1, 2, 3, 4, 5].map(at => rig.in(at, 1))).toEqual([...MAC_BYTES]);
    expect([0, 7, 8, 9].map(word => readEeprom(rig, word))).toEqual([0x8129, 0x5452, 0x1200, 0x5634]);
    rig.out(0, 4, 0);
    expect(rig.in(0, 4)).toBe(0);
    rig.out(CR9346, 1, 0x40);
    expect([rig.in(0, 4), rig.in(CR9346, 1) & 0xc0]).toEqual([0x1200_5452, 0]);
  });

  it('is an RTL8139C+ by its version and its revision', () => {
    const rig = new NicRig(rtl8139);
    expect(rig.in(TCR, 4) & 0x7cc0_0000).toBe(0x7480_0000);
    expect(rig.built.pci!.readConfig(8, 1)).toBe(0x20);
  });

  it('allows changes of its configuration only while it is unlocked', () => {
    const rig = new NicRig(rtl8139);
    const before = rig.in(CONFIG1, 1);
    rig.out(CONFIG1, 1, 0xff);
    expect(rig.in(CONFIG1, 1)).toBe(before);
    rig.out(CR9346, 1, 0xc0);
    rig.out(CONFIG1, 1, 0x21);
    expect(rig.in(CONFIG1, 1)).toBe(0x2d);
  });

  it('keeps only its address and configuration across a reset by the driver', () => {
    const rig = classic();
    rig.out(0, 4, 0x1234_5678);
    rig.out(CR, 1, 0x10);
    expect([rig.in(CR, 1), rig.in(IMR, 2), rig.in(0, 4)]).toEqual([0x01, 0, 0x1234_5678]);
    expect([0, 1, 2, 3].map(index => rig.in(TSD0 + 4 * index, 4))).toEqual([0x2000, 0x2000, 0x2000, 0x2000]);
  });
});

describe('the four transmit registers', () => {
  it('send in order, and report it', () => {
    const rig = classic();
    for (let index = 0; index < 6; index++) {
      rig.memory.writable(DATA, 100).set(frameTo(BROADCAST_BYTES, 100, index));
      rig.out(TSAD0 + 4 * (index % 4), 4, DATA);
      rig.out(TSD0 + 4 * (index % 4), 4, 100);
      expect(rig.in(TSD0 + 4 * (index % 4), 4)).toBe(0xa064);
    }
    expect(rig.port.sent).toEqual([0, 1, 2, 3, 4, 5].map(seed => frameTo(BROADCAST_BYTES, 100, seed)));
    expect([rig.in(ISR, 2), rig.interrupts]).toEqual([TOK, true]);
    expect(rig.in(0x60, 2)).toBe(0xf00f);
    rig.out(ISR, 2, TOK);
    expect([rig.in(ISR, 2), rig.interrupts]).toEqual([0, false]);
  });

  it('are used in turn', () => {
    const rig = classic();
    rig.out(TSAD0 + 4, 4, DATA);
    rig.out(TSD0 + 4, 4, 60);
    expect([rig.port.sent.length, rig.in(TSD0 + 4, 4)]).toEqual([0, 60]);
    rig.out(TSAD0, 4, DATA);
    rig.out(TSD0, 4, 60);
    expect(rig.port.sent.length).toBe(2);
  });

  it.each([
    ['with four registers', classic, 0xffff_ffff, 0xffff_ffff],
    ['in C+ mode', () => cplus(), 0xffff_ff00, 0xffff_ffff],
  ])('have the same contents by words and by bytes %s', (_, start, low, high) => {
    const written = start();
    const bytewise = start();
    for (const [at, kept] of [
      [TSAD0, low],
      [TSAD0 + 4, high],
    ] as const) {
      written.out(at, 4, 0xffff_ffff);
      for (let byte = 0; byte < 4; byte++) bytewise.out(at + byte, 1, 0xff);
      for (const rig of [written, bytewise]) {
        expect(rig.in(at, 4)).toBe(kept);
        expect([0, 1, 2, 3].map(byte => rig.in(at + byte, 1))).toEqual(
          [0, 8, 16, 24].map(shift => (kept >>> shift) & 0xff),
        );
      }
    }
  });

  it('hold a frame back while the wire is full', () => {
    const rig = classic();
    rig.port.room = 0;
    for (let index = 0; index < 2; index++) {
      rig.out(TSAD0 + 4 * index, 4, DATA);
      rig.out(TSD0 + 4 * index, 4, 60);
    }
    expect(rig.in(TSD0 + 4, 4) & 0x2000).toBe(0);
    rig.port.drain();
    expect([rig.port.sent.length, rig.in(TSD0 + 4, 4) & 0x2000]).toEqual([2, 0x2000]);
  });

  it('abort a frame that is too long, and stop at one outside memory', () => {
    const rig = classic();
    rig.out(TSAD0, 4, DATA);
    rig.out(TSD0, 4, 1793);
    expect([rig.in(TSD0, 4), rig.in(ISR, 2)]).toEqual([0x4000_2701, 0x8]);
    rig.out(TSAD0 + 4, 4, 0xffff_fff0);
    rig.out(TSD0 + 4, 4, 60);
    expect([rig.in(CR, 1) & 0x0c, rig.in(ISR, 2) & SERR]).toEqual([0, SERR]);
  });

  it('receive their own frames in loopback mode', () => {
    const rig = classic();
    rig.out(TCR, 4, 0x6_0000);
    rig.memory.writable(DATA, 64).set(frameTo(MAC_BYTES));
    rig.out(TSAD0, 4, DATA);
    rig.out(TSD0, 4, 64);
    expect(rig.port.sent).toEqual([]);
    expect(rig.memory.readable(BUFFER + 4, 64)).toEqual(frameTo(MAC_BYTES));
  });
});

describe('the ring buffer', () => {
  it('receives frames with a header and their FCS', () => {
    const rig = classic();
    expect(rig.in(CR, 1) & 1).toBe(1);
    rig.port.receive(frameTo(MAC_BYTES, 61), frameTo(BROADCAST_BYTES, 20));
    expect([rig.in(CR, 1) & 1, rig.in(ISR, 2), rig.interrupts]).toEqual([0, ROK, true]);
    expect(rig.memory.readU32(BUFFER)).toBe(0x0041_4001);
    expect(rig.memory.readable(BUFFER + 4, 61)).toEqual(frameTo(MAC_BYTES, 61));
    // Padded to 60 bytes.
    expect(rig.memory.readU32(BUFFER + 72)).toBe(0x0040_2001);
    expect(rig.in(CBR, 2)).toBe(72 + 68);
    rig.out(CAPR, 2, 72 + 68 - 16);
    expect(rig.in(CR, 1) & 1).toBe(1);
  });

  /** Reads the frames in the ring, and advances the read pointer. */
  const consume = (rig: NicRig) => rig.out(CAPR, 2, (rig.in(CBR, 2) - 16) & 0xffff);

  it.each([
    ['continues at its start', 0x0a, BUFFER],
    ['continues beyond its end with WRAP', 0x8a, BUFFER + 8192],
  ])('%s', (_, rcr, rest) => {
    const rig = classic(rcr);
    const frame = frameTo(MAC_BYTES, 1500, 3);
    for (let count = 0; count < 5; count++) {
      rig.port.receive(frame);
      consume(rig);
    }
    expect(rig.in(CBR, 2)).toBe(5 * 1508);
    rig.port.receive(frame);
    const first = 8192 - 5 * 1508 - 4;
    expect(rig.memory.readable(BUFFER + 5 * 1508 + 4, first)).toEqual(frame.subarray(0, first));
    expect(rig.memory.readable(rest, 1500 - first)).toEqual(frame.subarray(first));
    expect(rig.in(CBR, 2)).toBe(6 * 1508 - 8192);
  });

  it('resumes after being full only when a quarter of it is free', () => {
    const rig = classic();
    const frame = frameTo(MAC_BYTES, 64);
    const bytes = 4 + frame.length + 4;
    let count = 0;
    while (rig.port.receive(frame) === 0) count++;
    expect(count).toBe(Math.floor((8192 - 1) / bytes));
    let read = 0;
    while (!rig.port.isReceiving) {
      read += bytes;
      rig.out(CAPR, 2, (read - 16) & 0xffff);
    }
    const free = 8192 - count * bytes + read;
    expect(free).toBeGreaterThanOrEqual(8192 / 4);
    expect(free).toBeLessThan(8192 / 4 + bytes);
    expect(rig.in(CBR, 2)).toBe(((count + 1) * bytes) % 8192);
  });

  it('reports once that it is full, and receives the frame when it fits', () => {
    const rig = classic();
    const frame = frameTo(MAC_BYTES, 1500);
    const frames = Array.from({ length: 7 }, () => frame);
    expect(rig.port.receive(...frames)).toBe(2);
    expect(rig.in(ISR, 2)).toBe(ROK | RXOVW);
    rig.out(ISR, 2, 0xffff);
    rig.out(CAPR, 2, 1508 - 16);
    expect([rig.port.receive(), rig.in(ISR, 2)]).toEqual([1, ROK | RXOVW]);
    consume(rig);
    expect(rig.port.receive()).toBe(0);
  });

  it('is empty again when the driver enables the receiver', () => {
    const rig = classic();
    rig.port.receive(frameTo(MAC_BYTES));
    rig.out(CR, 1, 0x04);
    rig.out(CR, 1, 0x0c);
    expect([rig.in(CR, 1) & 1, rig.in(CBR, 2), rig.in(CAPR, 2)]).toEqual([1, 0, 0xfff0]);
  });
});

describe('the filters', () => {
  const OTHER = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
  /** All hosts (RFC 1112): the six highest bits of its CRC are 31. */
  const GROUP = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x01);
  const taken = (rcr: number, mar: readonly [number, number], target: Uint8Array) => {
    const rig = classic(rcr);
    rig.out(8, 4, mar[0]);
    rig.out(12, 4, mar[1]);
    rig.port.receive(frameTo(target));
    return (rig.in(ISR, 2) & ROK) !== 0 ? rig.memory.readU32(BUFFER) & 0xe000 : null;
  };

  it('match its address, broadcast, and multicast by hash', () => {
    const none = [0, 0] as const;
    expect(taken(0x02, none, MAC_BYTES)).toBe(0x4000);
    expect(taken(0x08, none, MAC_BYTES)).toBe(null);
    expect(taken(0x0a, none, OTHER)).toBe(null);
    expect(taken(0x01, none, OTHER)).toBe(0x4000);
    expect(taken(0x08, none, BROADCAST_BYTES)).toBe(0x2000);
    expect(taken(0x02, none, BROADCAST_BYTES)).toBe(null);
    expect(taken(0x04, none, GROUP)).toBe(null);
    expect(taken(0x04, [0x8000_0000, 0], GROUP)).toBe(0x8000);
    expect(taken(0x04, [0x7fff_ffff, 0xffff_ffff], GROUP)).toBe(null);
    expect(taken(0x0a, [0xffff_ffff, 0xffff_ffff], GROUP)).toBe(null);
    expect(taken(0x01, none, GROUP)).toBe(0x8000);
  });
});

describe('C+ transmit descriptors', () => {
  it('form a packet from several buffers', () => {
    const rig = cplus();
    const frame = frameTo(BROADCAST_BYTES, 300);
    rig.memory.writable(DATA, 300).set(frame);
    put(rig, TX_RING, 0, OWN | FS | 100, DATA);
    put(rig, TX_RING, 1, OWN | 150, DATA + 100);
    rig.out(TPPOLL, 1, 0x40);
    expect(rig.port.sent).toEqual([]);
    put(rig, TX_RING, 2, OWN | LS | EOR | 50, DATA + 250);
    rig.out(TPPOLL, 1, 0x40);
    expect(rig.port.sent).toEqual([frame]);
    expect([0, 1, 2].map(index => rig.memory.readU32(TX_RING + 16 * index) >>> 31)).toEqual([0, 0, 0]);
    expect([rig.in(ISR, 2) & TOK, rig.in(TPPOLL, 1)]).toEqual([TOK, 0]);
    // And starts again with the first.
    put(rig, TX_RING, 0, OWN | FS | LS | 60, DATA);
    rig.out(TPPOLL, 1, 0x40);
    expect(rig.port.sent.length).toBe(2);
  });

  it('request checksums', () => {
    const rig = cplus();
    send(rig, ipFrame('tcp', 33), 0x0005_0000);
    send(rig, ipFrame('udp', 34), 0x0006_0000);
    expect(rig.port.sent.map(ipSums)).toEqual([
      { header: 0xffff, transport: 0xffff },
      { header: 0xffff, transport: 0xffff },
    ]);
    send(rig, ipFrame('tcp', 33), 0);
    expect(rig.port.sent[2]).toEqual(ipFrame('tcp', 33));
  });

  it('request segmentation', () => {
    const rig = cplus();
    const large = ipFrame('tcp', 4000, { flags: 0x19 });
    send(rig, large, 0x0800_0000 | (1460 << 16));
    const { sent } = rig.port;
    expect(sent.map(({ length }) => length)).toEqual([1514, 1514, 1134]);
    expect(sent.every(frame => ipSums(frame).header === 0xffff && ipSums(frame).transport === 0xffff)).toBe(
      true,
    );
    const views = sent.map(({ buffer }) => new DataView(buffer));
    expect(views.map(view => view.getUint16(18))).toEqual([7, 8, 9]);
    expect(views.map(view => view.getUint32(38))).toEqual([1000, 2460, 3920]);
    expect(views.map(view => view.getUint8(47))).toEqual([0x10, 0x10, 0x19]);
    expect(Buffer.concat(sent.map(frame => frame.subarray(54)))).toEqual(Buffer.from(large.subarray(54)));
  });

  it('insert a VLAN tag', () => {
    const rig = cplus();
    const frame = frameTo(BROADCAST_BYTES, 60);
    send(rig, frame, 0, 0x0002_0000 | 0x0520);
    expect(rig.port.sent).toEqual([
      Uint8Array.of(...frame.subarray(0, 12), 0x81, 0x00, 0x20, 0x05, ...frame.subarray(12)),
    ]);
  });

  it('are rejected without a first segment, if too long, or if invalid', () => {
    const rig = cplus();
    put(rig, TX_RING, 0, OWN | LS | 60, DATA);
    for (let index = 1; index < 4; index++) put(rig, TX_RING, index, OWN | FS | 0xffff, DATA);
    put(rig, TX_RING, 4, OWN | LS | 0xffff, DATA);
    put(rig, TX_RING, 5, OWN | FS | LS | EOR | 0x0801_0000 | 1000, DATA);
    rig.out(TPPOLL, 1, 0x40);
    expect(rig.port.sent).toEqual([]);
    expect(rig.in(ISR, 2) & 0x800c).toBe(0x8);
    expect(rig.memory.readU32(TX_RING + 80) & 0x8080_0000).toBe(0x0080_0000);
  });

  it('do not block the machine, whatever the ring contains', () => {
    const rig = cplus();
    // 64 descriptors, each with as many segments as there may be.
    const large = ipFrame('tcp', 60_000);
    rig.memory.writable(DATA, large.length).set(large);
    for (let index = 0; index < 64; index++)
      put(rig, TX_RING, index, OWN | FS | LS | 0x0800_0000 | (48 << 16) | large.length, DATA);
    rig.out(TPPOLL, 1, 0x40);
    const atOnce = rig.port.sent.length;
    expect(atOnce).toBe(1250);
    rig.quiesce();
    rig.machine.clock.advance(5);
    expect(rig.port.sent.length).toBe(1250);
    rig.built.device.resume!();
    rig.machine.clock.advance(100);
    expect(rig.port.sent.length).toBe(64 * 1250);
  });
});

describe('C+ receive descriptors', () => {
  it('receive frames, and report the kind of address', () => {
    const rig = cplus();
    receiveBuffers(rig, 1536);
    rig.port.receive(frameTo(MAC_BYTES, 100), frameTo(BROADCAST_BYTES, 60));
    expect(rig.memory.readU32(RX_RING)).toBe((FS | LS | 0x0200_0000 | 104) >>> 0);
    expect(rig.memory.readable(BUFFER, 100)).toEqual(frameTo(MAC_BYTES, 100));
    expect(rig.memory.readU32(RX_RING + 16)).toBe((FS | LS | 0x0100_0000 | 64) >>> 0);
    expect([rig.in(ISR, 2), rig.interrupts]).toEqual([ROK, true]);
  });

  it('share a frame that exceeds each of them', () => {
    const rig = cplus();
    receiveBuffers(rig, 256);
    rig.port.receive(frameTo(MAC_BYTES, 600));
    expect([0, 1, 2].map(index => rig.memory.readU32(RX_RING + 16 * index) & 0xb000_0000)).toEqual([
      FS,
      0,
      LS,
    ]);
    expect(rig.memory.readU32(RX_RING + 32) & 0x1fff).toBe(604);
    expect(rig.memory.readable(BUFFER + 0x1000, 256)).toEqual(frameTo(MAC_BYTES, 600).subarray(256, 512));
    // A whole ring that is too small loses the frame.
    receiveBuffers(rig, 64);
    rig.out(RDSAR, 4, RX_RING);
    rig.port.receive(frameTo(MAC_BYTES, 600));
    expect([rig.port.receive(), rig.in(MPC, 4)]).toEqual([0, 1]);
  });

  it('hold a frame until there are any, without a kick', () => {
    const rig = cplus();
    receiveBuffers(rig, 1536);
    const frames = [1, 2, 3, 4, 5].map(seed => frameTo(MAC_BYTES, 60, seed));
    expect(rig.port.receive(...frames)).toBe(1);
    expect(rig.in(ISR, 2)).toBe(ROK | RXOVW);
    rig.machine.clock.advance(50);
    expect(rig.port.receive()).toBe(1);
    receiveBuffers(rig, 1536);
    rig.machine.clock.advance(50);
    expect(rig.port.receive()).toBe(0);
    expect(rig.memory.readable(BUFFER, 60)).toEqual(frames[4]);
  });

  it('report checksums, and strip a tag', () => {
    const rig = cplus(0x63);
    receiveBuffers(rig, 1536);
    const wrong = ipFrame('tcp', 33);
    send(rig, wrong, 0x0005_0000);
    const right = rig.port.sent[0]!;
    rig.port.receive(right, wrong, ipFrame('udp', 10));
    const protocols = [0, 1, 2].map(index => rig.memory.readU32(RX_RING + 16 * index) & 0x0003_e000);
    // UDP's zero is no checksum; the header's is wrong in both of the others.
    expect(protocols).toEqual([0x0001_0000, 0x0001_a000, 0x0002_8000]);
    const frame = frameTo(MAC_BYTES, 60);
    rig.port.receive(Uint8Array.of(...frame.subarray(0, 12), 0x81, 0, 0x20, 0x05, ...frame.subarray(12)));
    expect(rig.memory.readU32(RX_RING + 52)).toBe(0x0001_0520);
    expect(rig.memory.readable(BUFFER + 0x3000, 60)).toEqual(frame);
  });

  it('outside memory stop the card', () => {
    const rig = cplus();
    put(rig, RX_RING, 0, OWN | 1536, 2 ** 40);
    rig.port.receive(frameTo(MAC_BYTES));
    expect([rig.in(ISR, 2) & SERR, rig.in(CR, 1) & 0x0c]).toEqual([SERR, 0]);
    expect(rig.built.pci!.readConfig(6, 2) & 0x2000).toBe(0x2000);
  });
});

describe('statistics, timer and link', () => {
  it('dumps the counters for the driver', () => {
    const rig = cplus();
    receiveBuffers(rig, 1536);
    send(rig, frameTo(BROADCAST_BYTES), 0);
    rig.port.receive(frameTo(MAC_BYTES), frameTo(BROADCAST_BYTES));
    rig.out(DTCCR + 4, 4, 0);
    rig.out(DTCCR, 4, DATA | 8);
    expect(rig.in(DTCCR, 4)).toBe(DATA);
    expect([0, 8, 40, 48].map(at => rig.memory.readU64(DATA + at))).toEqual([1n, 2n, 1n, 1n]);
  });

  it('interrupts when the timer reaches its interval', () => {
    const rig = classic();
    rig.out(TIMER_INT, 4, 33_000 * 5);
    rig.out(TCTR, 4, 0);
    rig.machine.clock.advance(4);
    expect([rig.in(TCTR, 4), rig.in(ISR, 2)]).toEqual([132_000, 0]);
    rig.machine.clock.advance(1);
    expect(rig.in(ISR, 2)).toBe(TIMEOUT);
    rig.out(ISR, 2, TIMEOUT);
    rig.machine.clock.advance(1000);
    expect(rig.in(ISR, 2)).toBe(0);
  });

  it('reports that the link goes down and up', () => {
    const rig = classic();
    expect([rig.in(MSR, 1) & 4, rig.in(BMSR, 2) & 0x24, rig.in(BMCR, 2)]).toEqual([0, 0x24, 0x3100]);
    rig.built.capabilities!.nic!.setLink(false);
    expect([rig.in(MSR, 1) & 4, rig.in(BMSR, 2) & 0x24, rig.in(ISR, 2)]).toEqual([4, 0, LINK]);
    rig.out(ISR, 2, LINK);
    rig.built.capabilities!.nic!.setLink(true);
    expect(rig.in(ISR, 2)).toBe(LINK);
  });
});
