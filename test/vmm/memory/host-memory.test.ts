import { expect, test } from 'vitest';
import { checkHostMemory } from '../../../src/vmm/memory/host-memory.ts';

const GiB = 2 ** 30;
const meminfo = `MemTotal:       16777216 kB
MemFree:         1234567 kB
SwapTotal:       2097152 kB
SwapFree:              0 kB
`;

test('a VM may have as much memory as the host, swap included, but not more', () => {
  expect(() => checkHostMemory(18 * GiB, meminfo)).not.toThrow();
  expect(() => checkHostMemory(18 * GiB + 1, meminfo)).toThrow(
    'the VM needs 18 GiB of memory, but the host has 18 GiB including swap: give the VM less',
  );
  expect(() => checkHostMemory(7 * 1024 * GiB, meminfo)).toThrow('7168 GiB of memory');
});
