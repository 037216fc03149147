import { expect, test } from 'vitest';
import { noLatencyText } from '../../src/view/device-rows.ts';

test('requests without latencies are not shown as zero', () => {
  expect(noLatencyText({ requests: 0, backend: 'disk' })).toBe('no requests returned');
  expect(noLatencyText({ requests: 0, backend: 'net' })).toBe('no packets');
  expect(noLatencyText({ requests: 12, backend: 'net' })).toBe('packets are not timed here');
  expect(noLatencyText({ requests: 12, backend: null })).toBe('requests are not timed here');
});
