import { describe, expect, it } from 'vitest';
import { ramLayout } from '../../../src/vmm/memory/ram-layout.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

describe('the layout of guest RAM', () => {
  it('is contiguous up to 3 GiB', () => {
    expect(ramLayout(256 * MiB)).toEqual([{ name: 'ram-low', address: 0, size: 256 * MiB, offset: 0 }]);
    expect(ramLayout(3 * GiB)).toEqual([{ name: 'ram-low', address: 0, size: 3 * GiB, offset: 0 }]);
  });

  it('continues at 4 GiB', () => {
    expect(ramLayout(8 * GiB)).toEqual([
      { name: 'ram-low', address: 0, size: 3 * GiB, offset: 0 },
      { name: 'ram-high', address: 4 * GiB, size: 5 * GiB, offset: 3 * GiB },
    ]);
  });

  it('leaves more room below 4 GiB for firmware if RAM would overlap it', () => {
    expect(ramLayout(2816 * MiB, true)).toEqual([
      { name: 'ram-low', address: 0, size: 2816 * MiB, offset: 0 },
    ]);
    expect(ramLayout(3 * GiB, true)).toEqual([
      { name: 'ram-low', address: 0, size: 2 * GiB, offset: 0 },
      { name: 'ram-high', address: 4 * GiB, size: 1 * GiB, offset: 2 * GiB },
    ]);
  });
});
