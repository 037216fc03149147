import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { type MachineConfigInput, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { MachineRunner } from '../../../src/vmm/machine/runner.ts';
import type { Topology } from '../../../src/vmm/machine/topology.ts';
import { allocateCounters } from '../../support/counters.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { linkWith, sentBy } from '../../support/machine-link.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;

function topologyOf(devices: MachineConfigInput['devices']): Topology {
  const report = new MachineReport();
  const counters = allocateCounters({ vcpus: 1, queues: 4, regions: 64 });
  const runner = new MachineRunner({ counters, report, link: linkWith() });
  onTestFinished(() => runner.close());
  const boot = { kind: 'kernel' as const, path: builtFile('guest.elf') };
  runner.build(parseMachineConfig({ name: 'guest', memory: { bytes: 32 * MiB }, boot, devices }));
  return sentBy(report).find(message => message.kind === 'topology')!.topology;
}

describe.skipIf(noKvm !== null)(onKvm('the topology of a machine'), () => {
  test('names its devices, with their PCI addresses and facts', () => {
    const path = join(temporaryFolder(), 'disk');
    writeFileSync(path, '');
    truncateSync(path, 3 * MiB);
    const { devices } = topologyOf([
      { type: 'virtio-rng' },
      { type: 'virtio-blk', path, readonly: true, cache: 'none', queues: 2 },
    ]);
    expect(devices.map(({ name }) => name)).toEqual(expect.arrayContaining(['com1', 'rtc', 'rng0', 'blk0']));
    expect(devices.find(({ name }) => name === 'com1')).toEqual({
      ...{
        name: 'com1',
        type: 'serial',
        title: '16550A serial port',
        backend: 'char',
        bus: 'isa.0',
        address: null,
        facts: [],
      },
    });
    expect(devices.find(({ name }) => name === 'rng0')).toMatchObject({
      type: 'virtio-rng',
      address: '00:01.0',
    });
    const { facts, ...disk } = devices.find(({ backend }) => backend === 'disk')!;
    expect(disk).toMatchObject({ name: 'blk0', type: 'virtio-blk', address: '00:02.0' });
    expect(facts).toContainEqual({ label: 'size', value: 3 * MiB, unit: 'bytes' });
    expect(Object.fromEntries(facts.map(({ label, value }) => [label, value]))).toMatchObject({
      ...{ path, format: 'raw', cache: 'none', 'read-only': true, discard: false, serial: 'blk0', queues: 2 },
    });
  });
});
