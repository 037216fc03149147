import { expect, test } from 'vitest';
import { withoutPages } from '../../src/devices/host-block.ts';

test('omits pages that contain any of the given bytes', () => {
  const whole = [{ offset: 0, size: 0x4000 }];
  expect(withoutPages(whole, { offset: 0x1800, size: 0x30 })).toEqual([
    { offset: 0, size: 0x1000 },
    { offset: 0x2000, size: 0x2000 },
  ]);
  expect(withoutPages(whole, { offset: 0, size: 0x30 })).toEqual([{ offset: 0x1000, size: 0x3000 }]);
  expect(withoutPages(whole, { offset: 0x3ff0, size: 0x10 })).toEqual([{ offset: 0, size: 0x3000 }]);
  expect(withoutPages([{ offset: 0x2000, size: 0x1000 }], { offset: 0, size: 0x30 })).toEqual([
    { offset: 0x2000, size: 0x1000 },
  ]);
});
