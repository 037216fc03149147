import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ABI_FILE, abiSource, describeAbi, structName } from '../../../scripts/native-abi.ts';
import type { AnyStruct } from '../../../src/vmm/kvm/c-struct.ts';
import * as abi from '../../../src/vmm/native/abi.ts';

const description = describeAbi();

it('abi.ts is up to date with native/ (npm run build -- native, then npm run abi)', async () => {
  expect(await abiSource(description)).toBe(readFileSync(ABI_FILE, 'utf8'));
});

it.each(description.structs)('$name has its fields at the offsets in C', ({ name, fields, size }) => {
  const struct = (abi as unknown as Record<string, AnyStruct>)[structName(name)]!;
  const offsets = Object.keys(struct.fields).map(field => struct.offset(field));
  expect(offsets).toEqual(fields.map(({ offset }) => offset));
  expect(struct.size).toBe(size);
});
