import { expect, test } from 'vitest';
import { NetFilter } from '../../../../src/devices/virtio/net-filter.ts';
import { tapFilter } from '../../../../src/vmm/backends/net/tap-filter.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
const [OTHER, GROUP] = ['525400000002', '01005e000001'];

/** What Linux sets for an interface that is up: its own address, and groups. */
function usual(change: (filter: NetFilter) => void = () => {}): string | null {
  const filter = new NetFilter();
  filter.setMode('promiscuous', false);
  change(filter);
  const struct = tapFilter(filter.filter(MAC, true));
  return struct && Buffer.from(struct).toString('hex');
}

const addresses = (filter: NetFilter, unicast: string[], multicast: string[]) =>
  filter.setAddresses(Buffer.from(unicast.join(''), 'hex'), Buffer.from(multicast.join(''), 'hex'));

test("a TAP interface passes the driver's own address and broadcasts first, then groups", () => {
  expect(usual()).toBe('00000200525400000001ffffffffffff');
  expect(usual(filter => addresses(filter, [OTHER], [GROUP]))).toBe(
    `00000400525400000001${OTHER}ffffffffffff${GROUP}`,
  );
  expect(usual(filter => filter.setMode('allMulticast', true))).toBe('01000200525400000001ffffffffffff');
});

test('everything passes without a filter', () => {
  expect(usual(filter => filter.setMode('promiscuous', true))).toBe('00000000');
});

test('filters that the kernel does not support are left to threads', () => {
  for (const mode of ['allUnicast', 'noMulticast', 'noUnicast', 'noBroadcast'] as const)
    expect(usual(filter => filter.setMode(mode, true))).toBeNull();
  const many = Array.from({ length: 7 }, (_, index) => `5254000001${index.toString().padStart(2, '0')}`);
  expect(usual(filter => addresses(filter, many, []))).toBeNull();
  expect(usual(filter => addresses(filter, many.slice(1), []))).not.toBeNull();
});
