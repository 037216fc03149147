import { describe, expect, test } from 'vitest';
import { tscHere, tscProblems } from '../../../src/vmm/cpu/host-tsc.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';

describe('the TSC of another host', () => {
  test('fits if it has the frequency, within what clocks tolerate, or can be scaled', () => {
    const host = { khz: 2_000_000, canScale: false };
    expect(tscProblems(2_000_000, host)).toEqual([]);
    expect(tscProblems(2_000_400, host)).toEqual([]);
    expect(tscProblems(2_600_000, host)).toEqual([
      expect.stringContaining("the guest's TSC runs at 2600000 kHz, that of this host at 2000000 kHz"),
    ]);
    expect(tscProblems(2_600_000, { ...host, canScale: true })).toEqual([]);
    expect(tscProblems(2_600_000, null)).toEqual([]);
  });

  test.skipIf(noKvm !== null)(onKvm('is known'), () => {
    expect(tscHere()!.khz).toBeGreaterThan(100_000);
    expect(tscHere()).toBe(tscHere());
  });
});
