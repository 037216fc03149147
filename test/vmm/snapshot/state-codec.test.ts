import { describe, expect, it } from 'vitest';
import {
  decodeState,
  encodeState,
  MAX_STATE_BYTES,
  StateError,
} from '../../../src/vmm/snapshot/state-codec.ts';

const text = (json: string) => new TextEncoder().encode(json);

describe('state codec', () => {
  it('decodes everything that a state may contain', () => {
    const state = {
      version: 1,
      name: 'blk0 "quoted" \u2028 é',
      fraction: -0.25,
      on: true,
      none: null,
      big: 0xffff_ffff_ffff_ffffn,
      negative: -(2n ** 63n),
      zero: 0n,
      bytes: new Uint8Array([0, 1, 255]),
      empty: new Uint8Array(),
      list: [1n, [], {}, new Uint8Array([7])],
      nested: { a: { b: [{ c: 2n }] } },
    };
    expect(decodeState(encodeState(state))).toEqual(state);
  });

  it('encodes a view of a larger buffer as that view', () => {
    const whole = new Uint8Array([1, 2, 3, 4]);
    expect(decodeState(encodeState(whole.subarray(1, 3)))).toEqual(new Uint8Array([2, 3]));
  });

  it('writes large parts like small ones, in place, whatever else looks like one', () => {
    const large = (fill: number, length = 2 ** 16 + fill) => new Uint8Array(length).fill(fill);
    const state = {
      first: large(1),
      like: ['{"$bytes":"#"}', '#', '\u0000'],
      list: [large(2), { deep: large(0) }, new Uint8Array([35])],
    };
    const encoded = encodeState(state);
    expect(decodeState(encoded)).toEqual(state);
    const base64 = (bytes: Uint8Array) => ({ $bytes: Buffer.from(bytes).toString('base64') });
    expect(JSON.parse(new TextDecoder().decode(encoded))).toEqual({
      first: base64(large(1)),
      like: state.like,
      list: [base64(large(2)), { deep: base64(large(0)) }, base64(new Uint8Array([35]))],
    });
  });

  it('refuses to encode values that it could not decode', () => {
    for (const value of [
      undefined,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -0,
      () => {},
      Symbol('s'),
      2n ** 300n,
    ])
      expect(() => encodeState({ here: [value] }), String(value)).toThrow(/state\.here\[0\]/);
    expect(() => encodeState({ $int: 1 })).toThrow(StateError);
    expect(() => encodeState(JSON.parse('{"__proto__":1}'))).toThrow(StateError);
  });

  it('rejects text that no encoder has written', () => {
    const deep = `${'['.repeat(40)}${']'.repeat(40)}`;
    const wrong = [
      '',
      '{',
      '{"a":1} x',
      '1e999',
      '{"a":1e999}',
      '{"$int":"0x1"}',
      '{"$int":"FF"}',
      '{"$int":""}',
      '{"$int":1}',
      `{"$int":"${'f'.repeat(65)}"}`,
      '{"$bytes":"AAE"}',
      '{"$bytes":"AA*="}',
      '{"$bytes":[0]}',
      '{"$int":"1","b":1}',
      '{"$other":1}',
      '{"__proto__":{"a":1}}',
      deep,
    ];
    for (const json of wrong) expect(() => decodeState(text(json)), json).toThrow(StateError);
    expect(() => decodeState(new Uint8Array([0x22, 0xff, 0x22]))).toThrow(StateError);
    expect(() => decodeState(new Uint8Array(MAX_STATE_BYTES + 1))).toThrow(/67108865 bytes/);
    expect(decodeState(text('{"a":1}'))).toEqual({ a: 1 });
  });

  it('survives any damage of one byte: an error, or another state', () => {
    const bytes = encodeState({ a: [1, 2n, new Uint8Array([1, 2, 3])], b: 'text' });
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] = damaged[at]! ^ 0x15;
      try {
        decodeState(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(StateError);
      }
    }
  });
});
