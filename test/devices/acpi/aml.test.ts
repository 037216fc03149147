import { describe, expect, it } from 'vitest';
import { buffer, eisaId, integer, name, packageOf, scope, string } from '../../../src/devices/acpi/aml.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('AML', () => {
  it.each([
    [0, '00'],
    [1, '01'],
    [0xff, '0aff'],
    [0x100, '0b0001'],
    [0x1_0000, '0c00000100'],
    [2n ** 64n - 1n, '0effffffffffffffff'],
  ])('encodes the integer %s in its shortest form', (value, encoded) => {
    expect(hex(integer(value))).toBe(encoded);
  });

  it('rejects invalid 64-bit numbers, names and ids', () => {
    expect(() => integer(-1)).toThrow(RangeError);
    expect(() => integer(2n ** 64n)).toThrow(RangeError);
    expect(() => name('TOOLONG', integer(0))).toThrow('"TOOLONG" is not an ACPI name');
    expect(() => eisaId('PNP0')).toThrow('"PNP0" is not an EISA id');
    expect(() => packageOf(...Array.from({ length: 256 }, () => integer(0)))).toThrow(RangeError);
  });

  it('encodes names with their prefixes, padded', () => {
    expect(hex(name('_S5', integer(0)))).toBe('085f53355f00');
    expect(hex(scope('\\'))).toBe('10035c00');
    expect(hex(name('^A.B', integer(1)))).toBe('085e2e415f5f5f425f5f5f01');
    expect(hex(name('\\A.B.C', integer(1)))).toBe('085c2f03415f5f5f425f5f5f435f5f5f01');
  });

  it('encodes strings and EISA ids', () => {
    expect(hex(string('ab'))).toBe('0d616200');
    expect(hex(eisaId('PNP0A03'))).toBe('0c41d00a03');
  });

  it("includes the package length's own one to three bytes in it", () => {
    expect(hex(buffer(new Uint8Array(59)).subarray(0, 2))).toBe('113e');
    expect(hex(buffer(new Uint8Array(61)).subarray(0, 3))).toBe('114104');
    expect(hex(buffer(new Uint8Array(0x1000)).subarray(0, 4))).toBe('11860001');
  });
});
