import { describe, expect, test } from 'vitest';
import { FrameError, FrameParser } from '../../../src/engine/remote/frame-parser.ts';

const frame = (body: string) => `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe('the frame parser', () => {
  test('finds messages wherever the stream is split', () => {
    const bodies = ['{"a":1}', '', '{"ä":"ö"}'];
    const stream = Buffer.from(
      `${frame(bodies[0]!)}${frame('')}content-type: x\r\ncontent-length:11 \r\n\r\n{"ä":"ö"}`,
    );
    for (let size = 1; size <= stream.length; size++) {
      const parser = new FrameParser(100);
      const found: string[] = [];
      for (let at = 0; at < stream.length; at += size)
        found.push(...parser.push(stream.subarray(at, at + size)).map(String));
      expect(found).toEqual(bodies);
    }
  });

  test.each([
    ['a long message', 'Content-Length: 101\r\n\r\n', /message of 101 bytes is too long: at most 100/],
    ['a huge number', `Content-Length: ${'9'.repeat(40)}\r\n\r\n`, /no Content-Length/],
    ['a negative length', 'Content-Length: -1\r\n\r\n', /no Content-Length/],
    ['no length', 'Content-Type: x\r\n\r\n', /no Content-Length/],
    ['an empty header', '\r\n\r\n', /starts with|no Content-Length/],
    ['JSON without a header', '{"jsonrpc":"2.0"}', /starts with "Content-Length: N"/],
    ['binary garbage', '\x00\x01\x02', /starts with "Content-Length: N"/],
    ['a header without an end', `A: ${'x'.repeat(600)}`, /starts with "Content-Length: N"/],
  ])('rejects %s', (_, text, message) => {
    const parser = new FrameParser(100);
    expect(() => parser.push(Buffer.from(text, 'latin1'))).toThrow(FrameError);
    expect(() => new FrameParser(100).push(Buffer.from(text, 'latin1'))).toThrow(message);
  });
});
