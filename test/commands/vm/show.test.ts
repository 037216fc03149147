import { expect, test } from 'vitest';
import { vmLines } from '../../../src/commands/vm/show.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { idle } from '../../support/guest-scripts.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('vm show lists each device with its bus, its address and what the guest sees', () => {
  const engine = new FakeEngine(new ManualClock());
  engine.add('web', idle);
  const vm = engine.vms()[0]!;
  const { topology } = vm;
  const [first, ...others] = topology!.devices;
  const device = {
    ...first!,
    ...{ name: 'blk7', type: 'virtio-blk', bus: 'port0', address: '01:00.0' },
    facts: [
      { label: 'path', value: '/a.img' },
      { label: 'size', value: 2 ** 30, unit: 'bytes' as const },
    ],
  };
  const places = { rootPorts: [], devices: [{ name: 'blk7', bus: 'port0', addr: '00.0' }] };
  const lines = vmLines(
    { ...vm, topology: { ...topology!, devices: [device, ...others], places } },
    Number.POSITIVE_INFINITY,
  );
  const shown = lines.find(line => line.startsWith('blk7 '))!;
  expect(shown.split(/ {2,}/)).toEqual([
    'blk7',
    'virtio-blk',
    'port0',
    '00.0',
    '01:00.0',
    'path /a.img, size 1G',
  ]);
});
