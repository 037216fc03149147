import { expect, test } from 'vitest';
import {
  addressCrcLsb,
  addressCrcMsb,
  frameCheck,
  isBroadcast,
  isFor,
  isMulticast,
} from '../../../src/devices/net/ethernet.ts';

const address = (text: string) => Uint8Array.from(text.split(':'), byte => Number.parseInt(byte, 16));

test('frames are unicast, multicast or broadcast', () => {
  expect(isMulticast(address('01:00:5e:00:00:01'))).toBe(true);
  expect(isMulticast(address('52:54:00:12:34:56'))).toBe(false);
  expect(isBroadcast(address('ff:ff:ff:ff:ff:ff'))).toBe(true);
  expect(isBroadcast(address('ff:ff:ff:ff:ff:fe'))).toBe(false);
  const table = Uint8Array.from([...address('02:00:00:00:00:01'), ...address('02:00:00:00:00:02')]);
  expect([isFor(address('02:00:00:00:00:02'), table), isFor(address('02:00:00:00:00:02'), table, 6)]).toEqual(
    [false, true],
  );
});

/** Shifts one bit after the other, as the check sequence of IEEE 802.3 §3.2.9 is defined. */
function shiftedCrc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc >>> 31) ^ ((byte >> bit) & 1);
      crc = (crc << 1) >>> 0;
      if (carry === 1) crc = (crc ^ 0x04c1_1db7) >>> 0;
    }
  }
  return crc;
}

test('address hashes match the definition', () => {
  for (const text of ['01:00:5e:00:00:01', '33:33:ff:12:34:56', '01:80:c2:00:00:00']) {
    const bytes = address(text);
    const msb = shiftedCrc(bytes);
    expect(addressCrcMsb(bytes)).toBe(msb);
    const reversed = Number.parseInt([...msb.toString(2).padStart(32, '0')].reverse().join(''), 2);
    expect(addressCrcLsb(bytes)).toBe(reversed);
  }
  // 802.3: what a frame and its check sequence give together is always the same.
  const frame = Uint8Array.from({ length: 60 }, (_, index) => index * 7);
  const sequence = new Uint8Array(4);
  new DataView(sequence.buffer).setUint32(0, frameCheck(frame), true);
  expect(shiftedCrc(Uint8Array.from([...frame, ...sequence]))).toBe(0xc704_dd7b);
});
