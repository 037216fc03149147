import { describe, expect, test } from 'vitest';
import {
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  DriverRing,
  ringParts,
} from '../../../src/vmm/backends/driver-ring.ts';
import { OWN_MEMORY } from '../../../src/vmm/native/queue-threads.ts';

const SIZE = 8;

function made() {
  const { available, used, end } = ringParts(SIZE);
  const memory = new ArrayBuffer(end + 4096);
  const ring = new DriverRing(memory, SIZE);
  return { ring, view: new DataView(memory), available, used, end };
}

describe('the driver side of a split ring', () => {
  test.each([1, 2, 8, 64, 256, 1024, 32_768])('has room for all parts of a ring of %i', size => {
    const { available, used, end } = ringParts(size);
    // virtio 1.3 §2.7: alignments, and sizes with the fields of EVENT_IDX.
    expect([available % 2, used % 4, end % 4096]).toEqual([0, 0, 0]);
    expect(available).toBeGreaterThanOrEqual(16 * size);
    expect(used).toBeGreaterThanOrEqual(available + 6 + 2 * size);
    expect(end).toBeGreaterThanOrEqual(used + 6 + 8 * size);
  });

  test('has the layout that the thread expects', () => {
    const { ring, available, used } = made();
    expect(ring.place).toEqual({
      ...{ size: SIZE, descriptors: OWN_MEMORY },
      ...{ available: OWN_MEMORY + available, used: OWN_MEMORY + used },
    });
  });

  test('describes memory anywhere', () => {
    const { ring, view, end } = made();
    for (const at of [3 * DESCRIPTOR_BYTES, end]) {
      ring.describe(
        at,
        { address: 0x12_3456_789a, length: 0xffff_fff0 },
        DESCRIPTOR.next | DESCRIPTOR.write,
        5,
      );
      expect(view.getBigUint64(at, true)).toBe(0x12_3456_789an);
      expect(view.getUint32(at + 8, true)).toBe(0xffff_fff0);
      expect([view.getUint16(at + 12, true), view.getUint16(at + 14, true)]).toEqual([3, 5]);
    }
  });

  test('offers chains around its end, and sees those that were returned', () => {
    const { ring, view, available, used } = made();
    ring.stage(0xffff, 2);
    ring.stage(0x1_0000 & 0xffff, 6);
    expect([view.getUint16(available + 4 + 2 * 7, true), view.getUint16(available + 4, true)]).toEqual([
      2, 6,
    ]);
    expect(view.getUint16(available + 2, true)).toBe(0);
    ring.publish(1);
    expect(view.getUint16(available + 2, true)).toBe(1);
    view.setUint32(used + 4 + 8 * 7, 2, true);
    // A thread that reports impossible values.
    view.setUint32(used + 4, 0xffff_ffff, true);
    view.setUint16(used + 2, 1, true);
    expect([ring.returned, ring.returnedAt(0xffff), ring.returnedAt(0)]).toEqual([1, 2, SIZE - 1]);
  });

  test('requests interrupts, and reads whether kicks are requested', () => {
    const { ring, view, available, used } = made();
    ring.wantInterrupts(false);
    expect(view.getUint16(available, true)).toBe(1);
    ring.wantInterrupts(true);
    expect(view.getUint16(available, true)).toBe(0);
    expect(ring.isAsleep).toBe(true);
    view.setUint16(used, 1, true);
    expect(ring.isAsleep).toBe(false);
    ring.clear();
    expect(ring.isAsleep).toBe(true);
  });
});
