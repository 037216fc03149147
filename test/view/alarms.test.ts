import { beforeEach, describe, expect, test } from 'vitest';
import type { HostUsage } from '../../src/host-service/usage.ts';
import { type AppStore, createAppStore } from '../../src/store/app-store.ts';
import { createAlarmsSelector } from '../../src/view/alarms.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

let store: AppStore;
let engine: FakeEngine;
const alarms = createAlarmsSelector();

beforeEach(() => {
  store = createAppStore();
  engine = new FakeEngine(new ManualClock());
});

const GiB = 2 ** 30;
const healthy: HostUsage['vitals'] = {
  cpus: 2,
  cpuSeconds: {},
  cpuTicks: [],
  memory: { totalBytes: 64 * GiB, availableBytes: 60 * GiB },
  swap: { totalBytes: 0, freeBytes: 0 },
  hugepages: [{ pageBytes: 2 * 2 ** 20, total: 0, free: 0 }],
  ksmSavedBytes: null,
  ksmRuns: null,
  stalled: [],
  loadAverage: [],
  uptimeSeconds: 1,
  kvm: 'usable',
  iommuGroups: 0,
  stateSpace: { path: '/var/lib/vring', totalBytes: 100 * GiB, availableBytes: 50 * GiB },
};

const texts = () => alarms(store.getState()).map(({ level, text }) => `${level} ${text}`);

function take(vitals: Partial<HostUsage['vitals']>, waits: HostUsage['waits'] = {}): void {
  store.getState().usageRead({ vitals: { ...healthy, ...vitals }, cpus: [], cpu: 0, waits });
}

test('a healthy host with VMs that run or are off has no alarms', () => {
  engine.add('web', idle);
  engine.add('db', idle, { state: 'off' });
  store.getState().vmsListed(engine.vms());
  take({});
  expect(texts()).toEqual([]);
});

test('VMs: crashed, with a broken device, with an invalid definition; errors come first', () => {
  engine.add('web', idle, { state: 'off', problem: 'web.yaml:3: cpus: expected a number' });
  engine.add('db', idle, { state: 'crashed', reason: 'triple fault' });
  engine.add('cache', idle, { broken: { blk0: 'its ring is not in RAM' } });
  engine.add('mail', idle, { diskErrors: { blk1: 'write at sector 8 failed: EIO (I/O error)' } });
  store.getState().vmsListed(engine.vms());
  expect(texts()).toEqual([
    'error db crashed: triple fault',
    'error cache: blk0 is broken: its ring is not in RAM',
    'error mail: blk1: write at sector 8 failed: EIO (I/O error)',
    'warning web cannot start: web.yaml:3: cpus: expected a number',
  ]);
  expect(alarms(store.getState()).map(({ vm }) => vm)).toEqual(['db', 'cache', 'mail', 'web']);
});

test('a VM that is stuck, with the next step', () => {
  const reason = 'its process 7 was stopped by a signal: kill -CONT 7 resumes it';
  engine.add('web', idle, { state: 'stuck', reason });
  store.getState().vmsListed(engine.vms());
  expect(texts()).toEqual([`error web is stuck: ${reason}`]);
});

test('a manager that is unreachable, until it is back', () => {
  store.getState().setManagerLost({ kind: 'disconnected', text: 'it closed the connection' });
  expect(texts()).toEqual(['error no connection to the manager: it closed the connection; reconnecting']);
  store.getState().setManagerLost(null);
  expect(texts()).toEqual([]);
});

test('VMs that ended unexpectedly are one alarm, with the way to start them', () => {
  const reason = 'it ended unexpectedly: its process and its manager (process 7) died';
  engine.add('web', idle, { state: 'crashed', interrupted: true, reason });
  store.getState().vmsListed(engine.vms());
  expect(texts()).toEqual([`error web: ${reason}; A starts it again`]);
  engine.add('db', idle, { state: 'crashed', interrupted: true, reason });
  engine.add('mail', idle, { state: 'crashed', reason: 'triple fault' });
  store.getState().vmsListed(engine.vms());
  expect(texts()).toEqual([
    'error web and db: they ended unexpectedly, while no manager ran or with the host; A starts them again',
    'error mail crashed: triple fault',
  ]);
});

describe('the host', () => {
  test.each([
    ['without KVM', { kvm: 'absent' }, {}, 'error no VM can run: there is no /dev/kvm; 6 says why'],
    [
      'without memory',
      { memory: { totalBytes: 64 * GiB, availableBytes: GiB } },
      {},
      'warning memory is low: 1G available',
    ],
    ['that waits for memory', {}, { memory: 0.25 }, 'warning tasks wait for memory 25% of the time'],
    [
      'without huge pages left',
      { hugepages: [{ pageBytes: 2 * 2 ** 20, total: 512, free: 0 }] },
      {},
      'warning all 512 huge pages of 2M are in use',
    ],
    [
      'without room for state',
      { stateSpace: { path: '/var/lib/vring', totalBytes: 100 * GiB, availableBytes: 4 * GiB } },
      {},
      'warning /var/lib/vring has only 4G left',
    ],
  ] as const)('%s', (_, vitals, waits, text) => {
    take(vitals, waits);
    expect(texts()).toEqual([text]);
  });

  test('a very large disk with a small share left raises no alarm', () => {
    take({ stateSpace: { path: '/srv', totalBytes: 20_000 * GiB, availableBytes: 100 * GiB } });
    expect(texts()).toEqual([]);
  });
});
