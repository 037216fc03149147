import { afterAll, describe, expect, test } from 'vitest';
import { metricsMarkdown } from '../../scripts/cli-docs/metrics-page.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import type { VmInfo } from '../../src/engine/vm-info.ts';
import { exposition } from '../../src/report/exposition.ts';
import type { MetricFacts } from '../../src/report/metrics/metric.ts';
import { metricsNow } from '../../src/report/metrics-now.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { readOpenMetrics } from './open-metrics-reader.ts';

const OFF: VmInfo = {
  id: 'web',
  name: 'web',
  state: 'off',
  vcpus: 2,
  memoryBytes: 2 ** 30,
  reason: null,
  detail: null,
  exitCode: null,
  broken: {},
  startedAt: null,
  pid: null,
  version: null,
  confinement: null,
  topology: null,
  defined: true,
  problem: 'web.yaml:3: cpus: "many" is no number',
  blockers: [],
  autostart: false,
  keyboardHolder: null,
};

const FACTS: MetricFacts = {
  version: '1.2"3\\',
  manager: { pid: 1, startedAt: 1_700_000_000_500 },
  host: {
    cpus: 2,
    cpuSeconds: { user: 1.5, system: 0 },
    memory: { totalBytes: 4096, availableBytes: 1024 },
    hugepages: [{ pageBytes: 2 ** 21, total: 8, free: 3 }],
    ksmSavedBytes: 8192,
    stalled: [{ resource: 'cpu', tasks: 'some', seconds: 0.25 }],
  },
  vms: [{ info: OFF, snapshot: null }],
};

test('the text is valid OpenMetrics, whatever names it contains', async () => {
  const families = readOpenMetrics(await exposition(FACTS, 'openmetrics'));
  const value = (name: string, labels: object = {}) =>
    families
      .get(name)
      ?.samples.find(sample => Object.entries(labels).every(([key, text]) => sample.labels[key] === text))
      ?.value;
  expect(families.get('vring_build')?.samples[0]?.labels).toEqual({ version: '1.2\\"3\\\\' });
  expect(value('vring_manager_start_time_seconds')).toBe(1_700_000_000.5);
  expect(value('vring_host_cpu_seconds', { mode: 'user' })).toBe(1.5);
  expect(value('vring_host_hugepages_free', { size: '2097152' })).toBe(3);
  expect(value('vring_host_stalled_seconds', { resource: 'cpu', tasks: 'some' })).toBe(0.25);
  expect(value('vring_vm_state', { vm: 'web', vring_vm_state: 'off' })).toBe(1);
  expect(value('vring_vm_state', { vm: 'web', vring_vm_state: 'running' })).toBe(0);
  expect(value('vring_vm_definition_ok', { vm: 'web' })).toBe(0);
  expect(value('vring_vm_start_time_seconds', { vm: 'web' })).toBeUndefined();
});

test('the Prometheus text format has no types, units and escapes of OpenMetrics', async () => {
  const text = await exposition(FACTS, 'prometheus');
  expect(text).not.toMatch(/# EOF|# UNIT|stateset| info$/m);
  expect(text).toContain('# TYPE vring_build_info gauge\nvring_build_info{version="1.2\\"3\\\\"} 1\n');
  expect(text).toContain('# TYPE vring_host_cpu_seconds_total counter\n');
  expect(text).toContain('# TYPE vring_vm_state gauge\n');
  for (const [, help] of text.matchAll(/^# HELP \S+ (.*)$/gm)) expect(help).not.toMatch(/\\[^\\n]/);
});

test('generating a long text does not block other work', async () => {
  const vms = Array.from({ length: 500 }, (_, index) => ({
    info: { ...OFF, id: `vm${index}`, name: `vm${index}` },
    snapshot: null,
  }));
  let turns = 0;
  const count = () => {
    turns++;
    immediate = setImmediate(count);
  };
  let immediate = setImmediate(count);
  const text = await exposition({ ...FACTS, vms }, 'openmetrics');
  clearImmediate(immediate);
  expect(turns).toBeGreaterThanOrEqual(Math.floor(text.split('\n').length / 1000));
  const names = new Set(
    readOpenMetrics(text)
      .get('vring_vm_state')
      ?.samples.map(({ labels }) => labels.vm),
  );
  expect(names.size).toBe(500);
});

test('docs/metrics.md lists them (npm run docs writes it)', async () => {
  await expect(metricsMarkdown()).toMatchFileSnapshot('../../docs/metrics.md');
});

describe.skipIf(noKvm !== null)(onKvm('of a running VM'), () => {
  const engine = new LocalEngine({ metrics: metricsNow });
  afterAll(() => engine.close());

  test('the text has its counters, with labels', async () => {
    const guest = await GuestVm.start(engine, {
      name: 'web',
      append: 'run="exits io 100"',
      devices: [{ type: 'virtio-rng' }],
    });
    await guest.printed(/result exits/);
    const families = readOpenMetrics(await engine.metrics('openmetrics'));
    const samples = (name: string) => families.get(name)!.samples;
    const exits = samples('vring_vcpu_exits').find(({ labels }) => labels.reason === 'IO');
    expect(exits?.value).toBeGreaterThanOrEqual(100);
    const count = samples('vring_vcpu_exit_latency_seconds').find(({ name }) =>
      name.endsWith('_count'),
    )!.value;
    const total = samples('vring_vcpu_exits').reduce((sum, { value }) => sum + value, 0);
    expect(Math.abs(count - total)).toBeLessThanOrEqual(2);
    const serial = samples('vring_exit_address_accesses').filter(({ labels }) => labels.address === '0x3f8');
    expect(serial.find(({ labels }) => labels.direction === 'write')?.value).toBeGreaterThan(50);
    expect(samples('vring_queue_requests').map(({ labels }) => labels.device)).toEqual(['rng0']);
    expect(samples('vring_vm_state').find(({ value }) => value === 1)?.labels).toEqual({
      vm: 'web',
      vring_vm_state: 'running',
    });
    expect(samples('vring_host_cpus')[0]?.value).toBeGreaterThan(0);
  });
});
