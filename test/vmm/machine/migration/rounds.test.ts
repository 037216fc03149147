import { describe, expect, test } from 'vitest';
import { FUTILE_ROUNDS, Rounds } from '../../../../src/vmm/machine/migration/rounds.ts';

const MB = 1e6;

describe('the rounds of a migration', () => {
  test('end when the rest fits in the allowed downtime', () => {
    const rounds = new Rounds({ maxDowntimeMs: 300 });
    expect(rounds.over({ sent: 1000 * MB, seconds: 10, dirtied: 100 * MB })).toBe(false);
    expect(rounds.forecast).toEqual({
      bytesPerSecond: 100 * MB,
      dirtyBytesPerSecond: 10 * MB,
      downtimeMs: 1060,
    });
    expect(rounds.over({ sent: 100 * MB, seconds: 1, dirtied: 10 * MB })).toBe(true);
  });

  test('end when no pages are left', () => {
    expect(new Rounds({ maxDowntimeMs: 1 }).over({ sent: 10, seconds: 1, dirtied: 0 })).toBe(true);
  });

  test('do not estimate the bandwidth from a few bytes', () => {
    const rounds = new Rounds({ maxDowntimeMs: 100 });
    rounds.over({ sent: 1000 * MB, seconds: 10, dirtied: 50 * MB });
    rounds.over({ sent: 4096, seconds: 0.01, dirtied: 50 * MB });
    expect(rounds.forecast!.bytesPerSecond).toBe(100 * MB);
  });

  test('do not converge while the guest writes as fast as they send', () => {
    const rounds = new Rounds({ maxDowntimeMs: 100 });
    const round = (dirtied: number) => rounds.over({ sent: 200 * MB, seconds: 2, dirtied });
    round(200 * MB);
    for (let count = 0; count < FUTILE_ROUNDS; count++) {
      expect(rounds.isFutile).toBe(false);
      expect(round(195 * MB)).toBe(false);
    }
    expect(rounds.isFutile).toBe(true);
    expect(round(100 * MB)).toBe(false);
    expect(rounds.isFutile).toBe(false);
  });
});
