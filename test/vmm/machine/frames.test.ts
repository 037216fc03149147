import { describe, expect, test } from 'vitest';
import {
  FRAME,
  FrameReader,
  messageFrame,
  messageOf,
  portFrame,
  portOf,
} from '../../../src/vmm/machine/frames.ts';
import { Random } from '../../support/random.ts';

const header = (length: number, kind: number = FRAME.message) => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32LE(length);
  bytes[4] = kind;
  return bytes;
};

describe('frames', () => {
  test('arrive unchanged, however the stream is split', () => {
    const sent = [
      messageFrame({ kind: 'state', state: 'running' }),
      portFrame(7, Buffer.from('hello')),
      portFrame(0, Buffer.alloc(100_000, 'x')),
      messageFrame('ü'.repeat(3000)),
      portFrame(255, new Uint8Array(0)),
    ];
    const stream = Buffer.concat(sent);
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const reader = new FrameReader();
      const frames = [];
      for (let at = 0; at < stream.length; ) {
        const length = 1 + random.below(random.pick([3, 40, 70_000]));
        frames.push(...reader.push(stream.subarray(at, at + length)));
        at += length;
      }
      expect(frames.map(({ kind }) => kind)).toEqual([1, 2, 2, 1, 2]);
      expect(messageOf(frames[0]!)).toEqual({ kind: 'state', state: 'running' });
      expect(portOf(frames[1]!)).toEqual({ port: 7, bytes: new Uint8Array(Buffer.from('hello')) });
      expect(portOf(frames[2]!).bytes).toHaveLength(100_000);
      expect(messageOf(frames[3]!)).toBe('ü'.repeat(3000));
      expect(portOf(frames[4]!)).toEqual({ port: 255, bytes: new Uint8Array(0) });
    }
  });

  test('do not change with the buffer that they arrived in', () => {
    const reader = new FrameReader();
    const buffer = Buffer.from(portFrame(1, Buffer.from('abcdef')));
    expect(reader.push(buffer.subarray(0, 7))).toEqual([]);
    const rest = Buffer.from(buffer.subarray(7));
    buffer.fill(0);
    const [frame] = reader.push(rest);
    rest.fill(0);
    expect(Buffer.from(portOf(frame!).bytes).toString()).toBe('abcdef');
  });

  test.each([0, 2 ** 22 + 1, 2 ** 31, 2 ** 32 - 1])('of %i bytes are rejected by their header', length => {
    expect(() => new FrameReader().push(header(length))).toThrow(`a frame of ${length} bytes is not valid`);
  });

  test('of the largest size that arrive byte by byte are not copied for each byte', () => {
    const reader = new FrameReader();
    const bytes = 2 ** 22 - 1;
    reader.push(header(bytes + 1, FRAME.port));
    let copied = 0;
    const { set } = Uint8Array.prototype;
    Uint8Array.prototype.set = function (...[source, at]) {
      copied += source.length;
      return set.call(this, source, at);
    };
    try {
      const piece = new Uint8Array(1024);
      let frames = 0;
      for (let sent = 0; sent < bytes; sent += piece.length)
        frames += reader.push(piece.subarray(0, Math.min(piece.length, bytes - sent))).length;
      expect(frames).toBe(1);
    } finally {
      Uint8Array.prototype.set = set;
    }
    expect(copied).toBeGreaterThan(0);
    expect(copied).toBeLessThan(4 * bytes);
  });

  test('with a message that is not JSON throw', () => {
    const [frame] = new FrameReader().push(Buffer.concat([header(4), Buffer.from('{"a')]));
    expect(() => messageOf(frame!)).toThrow(SyntaxError);
  });
});
