import { describe, expect, test } from 'vitest';
import {
  encodeMessage,
  HEADER_BYTES,
  KIND,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  type StreamItem,
  StreamReader,
} from '../../../src/vmm/migration/stream.ts';
import { Random } from '../../support/random.ts';

function frame(
  kind: number,
  offset: number | bigint,
  length: number,
  payload: Uint8Array = new Uint8Array(),
) {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write('VR', 0, 'latin1');
  bytes[3] = kind;
  bytes.writeUInt32LE(length, 4);
  bytes.writeBigUInt64LE(BigInt(offset), 8);
  return Buffer.concat([bytes, payload]);
}

function pagesFrame(offset: number, payload: Uint8Array): Buffer {
  return frame(KIND.pages, offset, payload.length, payload);
}

/** Reads a stream in chunks of these sizes; the pieces of RAM and state as one. */
function read(stream: Uint8Array, sizes: () => number): { items: StreamItem[]; ram: Buffer; state: Buffer } {
  const reader = new StreamReader();
  const items: StreamItem[] = [];
  const ram = Buffer.alloc(256);
  const state = Buffer.alloc(256);
  for (let at = 0; at < stream.length; ) {
    const size = sizes();
    for (const item of reader.push(stream.subarray(at, at + size))) {
      if (item.kind === 'pages') ram.set(item.bytes, item.offset);
      else if (item.kind === 'state') state.set(item.bytes, item.offset);
      else items.push(item);
    }
    at += size;
  }
  expect(reader.isBetweenFrames).toBe(true);
  return { items, ram, state };
}

describe('the stream of a migration', () => {
  test('is the same in any chunks', () => {
    const random = new Random(1);
    const ram = Buffer.from(Array.from({ length: 100 }, () => random.below(256)));
    const stream = Buffer.concat([
      encodeMessage({ kind: 'offer', text: 'ä' }),
      pagesFrame(17, ram),
      frame(KIND.zeros, 200, 50),
      frame(KIND.state, 3, 5, Buffer.from('state')),
      encodeMessage({ kind: 'go' }),
    ]);
    for (let round = 0; round < 50; round++) {
      const found = read(stream, () => 1 + random.below(round === 0 ? 1 : 60));
      expect(found.items).toEqual([
        { kind: 'message', message: { kind: 'offer', text: 'ä' } },
        { kind: 'zeros', offset: 200, length: 50 },
        { kind: 'message', message: { kind: 'go' } },
      ]);
      expect(found.ram.subarray(17, 117)).toEqual(ram);
      expect(found.state.subarray(3, 8).toString()).toBe('state');
    }
  });

  test.each([
    ['text', Buffer.from('Welcome to host2\n'), /sent something other than a migration/],
    ['one character of a text', Buffer.from('\n'), /sent something other than a migration/],
    ['an unknown kind', frame(9, 0, 1), /a frame of the unknown kind 9/],
    ['no payload', frame(KIND.pages, 0, 0), /a frame of 0 bytes/],
    ['too much RAM', frame(KIND.pages, 0, MAX_FRAME_BYTES + 1), /a frame of 1048577 bytes/],
    ['too many zeros', frame(KIND.zeros, 0, MAX_FRAME_BYTES + 1), /a frame of 1048577 bytes/],
    ['a long message', frame(KIND.message, 0, MAX_MESSAGE_BYTES + 1), /a frame of 4194305 bytes/],
    ['an offset beyond all memory', frame(KIND.zeros, 2n ** 63n, 1), /at the offset 9223372036854775808/],
    ['no JSON', frame(KIND.message, 0, 1, Buffer.from('{')), /a message that is not JSON/],
  ])('is rejected with %s', (_, stream, reason) => {
    expect(() => [...new StreamReader().push(stream)]).toThrow(reason);
  });

  test('does not end in the middle of a frame', () => {
    const reader = new StreamReader();
    for (const _ of reader.push(pagesFrame(0, Buffer.alloc(10)).subarray(0, 20))) void _;
    expect(reader.isBetweenFrames).toBe(false);
  });
});
