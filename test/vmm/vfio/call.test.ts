import { expect, test } from 'vitest';
import { deviceName } from '../../../src/vmm/vfio/call.ts';

const TOKEN = '4b20d080-1b54-4048-85b3-a6a62d165c01';

test('requests a device from its group by address, and by token if it has one', () => {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
  expect(text(deviceName('0000:01:10.0'))).toBe('0000:01:10.0\0');
  expect(text(deviceName('0000:01:10.0', TOKEN))).toBe(`0000:01:10.0 vf_token=${TOKEN}\0`);
});
