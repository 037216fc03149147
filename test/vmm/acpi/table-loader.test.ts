import { describe, expect, it } from 'vitest';
import { type LoaderCommand, loadTables, type TableFiles } from '../../../src/vmm/acpi/table-loader.ts';
import { FakeMemory } from '../../support/fake-memory.ts';

const KiB = 2 ** 10;
const low = { alignment: 16, zone: 'low' } as const;

/** Two files: `a` points into `b`, and has a checksum over its first 8 bytes. */
function files(...more: readonly LoaderCommand[]): TableFiles {
  const a = Uint8Array.of(0x10, 0, 0, 0, 1, 2, 3, 0, 0xff, 0xff);
  return {
    files: new Map([
      ['a', a],
      ['b', Uint8Array.from({ length: 32 }, (_, index) => index)],
    ]),
    commands: [
      { kind: 'allocate', file: 'a', ...low },
      { kind: 'allocate', file: 'b', ...low, alignment: 64 },
      ...more,
    ],
  };
}

const pointer: LoaderCommand = { kind: 'add-pointer', file: 'a', to: 'b', offset: 0, size: 4 };
const sum: LoaderCommand = { kind: 'add-checksum', file: 'a', offset: 7, start: 0, length: 8 };

describe('the table loader', () => {
  it.each([0, 0x1000, 0x8010])('places files from 0x%s on, with valid pointers and checksums', start => {
    const memory = new FakeMemory(64 * KiB);
    const placed = loadTables(files(pointer, sum), memory, { start, size: 4 * KiB });
    const b = Math.ceil((start + 10) / 64) * 64;
    expect([...placed]).toEqual([
      ['a', start],
      ['b', b],
    ]);
    expect(memory.readU32(start)).toBe(b + 0x10);
    expect([...memory.readable(b, 32)]).toEqual(Array.from({ length: 32 }, (_, index) => index));
    const bytes = memory.readable(start, 10);
    expect(bytes.subarray(0, 8).reduce((total, byte) => (total + byte) & 0xff, 0)).toBe(0);
    expect([...bytes.subarray(8)]).toEqual([0xff, 0xff]);
  });

  it('leaves the files unchanged, to be placed again', () => {
    const tables = files(pointer, sum);
    const before = structuredClone(tables);
    loadTables(tables, new FakeMemory(64 * KiB), { start: 0x1000, size: KiB });
    expect(tables).toEqual(before);
  });

  it.each([
    ['no room', files(), { start: 0, size: 64 }, 'the ACPI tables have 96 bytes, but 64 are reserved'],
    ['a file that is not there', { ...files(), files: new Map() }, undefined, 'there is no file a'],
    [
      'a pointer to what has no place',
      { ...files(), commands: [{ kind: 'allocate', file: 'a', ...low }, pointer] as const },
      undefined,
      'b has not been allocated',
    ],
    ['a pointer beyond the file', files({ ...pointer, offset: 7 }), undefined, 'a has no 4 bytes at 7'],
    ['a checksum beyond the file', files({ ...sum, length: 11 }), undefined, 'a has no 11 bytes at 0'],
  ] as const)('rejects %s', (_what, tables, zone, message) => {
    const free = zone ?? { start: 0, size: KiB };
    expect(() => loadTables(tables, new FakeMemory(64 * KiB), free)).toThrow(message);
  });
});
