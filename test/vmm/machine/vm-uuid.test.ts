import { expect, test } from 'vitest';
import { uuidOf } from '../../../src/vmm/machine/vm-uuid.ts';

test('a VM has the same, unique UUID at every start', () => {
  expect(uuidOf('web')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuidOf('web')).toBe('b23cec9a-0d3b-83c7-9ccf-73cf82a0677a');
  expect(uuidOf('web')).not.toBe(uuidOf('db'));
});
