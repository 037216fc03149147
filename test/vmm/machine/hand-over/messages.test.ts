import { expect, test } from 'vitest';
import type { WireFacts } from '../../../../src/vmm/backends/net/wire.ts';
import { FORMAT, type Offer, parseFromGiver } from '../../../../src/vmm/machine/hand-over/messages.ts';

test('an offer arrives with every property of a wire', () => {
  const facts: Required<WireFacts> = {
    fds: 1,
    header: 'none',
    mtu: 65_520,
    label: 'user',
    program: 'vring-net-user, confined',
    interface: 'tap0',
    vhost: { devices: 1, counters: 2 },
    withoutVhost: 'switched off',
    steering: true,
    hub: { number: 0, ports: [{ label: 'user' }] },
    shared: true,
    char: { file: 'pty', log: true },
  };
  const offer: Offer = {
    kind: 'offer',
    format: FORMAT,
    version: '1.0.0',
    disks: [],
    images: [],
    wires: [{ device: 'net0', wire: facts }],
  };
  expect(parseFromGiver(offer)).toEqual(offer);
});
