import { beforeEach, describe, expect, test } from 'vitest';
import type { VmDetail } from '../../src/engine/sampling/rates.ts';
import { type AppStore, createAppStore } from '../../src/store/app-store.ts';
import { SampleFeed } from '../../src/store/vm-sample-feed.ts';
import { addressRows } from '../../src/view/address-rows.ts';
import { deviceFacts, deviceRows } from '../../src/view/device-rows.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

let store: AppStore;
let rates: VmDetail;
const vm = () => store.getState().infos.demo!;

beforeEach(() => {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock);
  engine.add('demo', complete, { broken: { rng0: 'its ring is not in RAM' } });
  store = createAppStore();
  store.getState().vmsListed(engine.vms());
  store.getState().openScreen({ kind: 'vm', id: 'demo' });
  const samples = new SampleFeed(engine, store);
  clock.advance(1250);
  rates = store.getState().detail!.rates;
  return () => samples.close();
});

describe('the addresses that exits are for', () => {
  const at = (order: Parameters<typeof addressRows>[1]) => addressRows(rates, order).map(row => row.at);

  test('can be sorted by cost, by rate, and by address, ports before memory', () => {
    expect(at('cost')).toEqual(['fe000014', 'port 3fd', 'port 3f8', 'port 71', 'port 80']);
    expect(at('rate')).toEqual(['port 3fd', 'fe000014', 'port 3f8', 'port 71', 'port 80']);
    expect(at('address')).toEqual(['port 71', 'port 80', 'port 3f8', 'port 3fd', 'fe000014']);
  });

  test('are hot, warm or cool by their share of the total cost', () => {
    const rows = addressRows(rates, 'cost');
    expect(rows.map(({ heat }) => heat)).toEqual(['hot', 'warm', 'warm', 'cool', 'cool']);
    expect(rows.reduce((sum, { part }) => sum + part, 0)).toBeCloseTo(1);
  });

  test('belong to a device, or to none', () => {
    expect(addressRows(rates, 'address').map(({ device }) => device)).toEqual([
      'rtc',
      null,
      'com1',
      'com1',
      'blk0',
    ]);
  });

  test('beyond those with their own rows are summed in one row, the last in any order', () => {
    const others = { reads: 1e6, writes: 0, share: 0.9, meanNs: 900, total: 1e6 };
    for (const order of ['cost', 'rate', 'address'] as const) {
      expect(addressRows({ ...rates, otherAddresses: others }, order).at(-1)).toMatchObject({
        at: 'all others',
        heat: 'hot',
      });
    }
  });
});

describe('the devices', () => {
  test('have the rates of their queues and of their ports and memory', () => {
    const [com1, blk0, rng0] = deviceRows(vm(), rates);
    expect(com1).toMatchObject({ name: 'com1', queues: 0, requests: 0 });
    expect(com1!.accesses).toBeCloseTo(1200, -1);
    expect(blk0).toMatchObject({ queues: 1, inFlight: 32, broken: null });
    expect(blk0!.requests).toBeCloseTo(20_000, -2);
    expect(rng0).toMatchObject({ broken: 'its ring is not in RAM' });
  });

  test('of one role are listed alone', () => {
    expect(deviceRows(vm(), rates, 'disk').map(({ name }) => name)).toEqual(['blk0']);
    expect(deviceRows(vm(), rates, 'net')).toEqual([]);
  });

  test('have facts: their own, and their addresses', () => {
    const [, blk0] = deviceRows(vm(), null);
    expect(deviceFacts(vm(), blk0!).map(({ name, texts }) => `${name}: ${texts.join()}`)).toEqual([
      'Type: virtio block device',
      'Bus: pci.0, at 00:03.0',
      'Path: /srv/vms/database/root.raw',
      'Size: 10G',
      'Format: raw',
      'Read-only: no',
      'Regions: memory fe000000-fe000007',
      'Virtqueues: requests (256)',
    ]);
  });
});
