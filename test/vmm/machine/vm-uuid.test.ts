import { expect, test } from 'vitest';
import { uuidOf } from '../../../src/vmm/machine/vm-uuid.ts';

test('a VM has the same UUID whenever it starts, and no other has it', () => {
  expect(uuidOf('web')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuidOf('web')).toBe(uuidOf('web'));
  expect(uuidOf('web')).not.toBe(uuidOf('db'));
});
