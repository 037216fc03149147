import { countedRegions, countedStatistics } from '../../engine/sampling/counted.ts';
import { ADDRESS, ADDRESS_ENTRIES, parseAddressKey, REGION, STATISTIC } from '../../vmm/counters/counters.ts';
import { type CountedVm, countedVms, NS_PER_SECOND, word } from './counters.ts';
import type { Family, Labels, MetricFacts, Point } from './metric.ts';

/** Guest accesses handled by a device model, by region and by exact address, and the models' own statistics. */
export const ACCESS_METRICS: readonly Family[] = [
  {
    name: 'vring_region_accesses',
    type: 'counter',
    help: 'Guest accesses to a region of ports or memory that a device model serves; address is the start of the region.',
    labels: ['vm', 'device', 'space', 'address', 'direction'],
    points: facts =>
      eachRegion(facts, (vm, base, labels) => [
        { labels: { ...labels, direction: 'read' }, value: word(vm, base + REGION.reads) },
        { labels: { ...labels, direction: 'write' }, value: word(vm, base + REGION.writes) },
      ]),
  },
  {
    name: 'vring_region_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time the device model spent on these accesses.',
    labels: ['vm', 'device', 'space', 'address'],
    points: facts =>
      eachRegion(facts, (vm, base, labels) => [
        { labels, value: word(vm, base + REGION.ns) / NS_PER_SECOND },
      ]),
  },
  {
    name: 'vring_exit_address_accesses',
    type: 'counter',
    help: 'Guest accesses to one exact address that a device model serves.',
    labels: ['vm', 'device', 'space', 'address', 'direction'],
    points: facts =>
      eachAddress(facts, (vm, entry, labels) => [
        { labels: { ...labels, direction: 'read' }, value: word(vm, entry + ADDRESS.reads) },
        { labels: { ...labels, direction: 'write' }, value: word(vm, entry + ADDRESS.writes) },
      ]),
  },
  {
    name: 'vring_exit_address_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time the device model spent on accesses to this address.',
    labels: ['vm', 'device', 'space', 'address'],
    points: facts =>
      eachAddress(facts, (vm, entry, labels) => [
        { labels, value: word(vm, entry + ADDRESS.ns) / NS_PER_SECOND },
      ]),
  },
  {
    name: 'vring_device_statistic',
    type: 'counter',
    help: 'Statistics specific to a device.',
    labels: ['vm', 'device', 'statistic'],
    points: function* (facts) {
      for (const vm of countedVms(facts))
        for (const { index, device, name } of countedStatistics(vm.snapshot, vm.topology))
          yield {
            labels: { vm: vm.name, device, statistic: name },
            value: word(vm, vm.snapshot.layout.statistic(index) + STATISTIC.value),
          };
    },
  },
];

type Points = (vm: CountedVm, offset: number, labels: Labels) => Point[];

/** The regions that were accessed. */
function* eachRegion(facts: MetricFacts, points: Points): Generator<Point> {
  for (const vm of countedVms(facts)) {
    for (const { index, device, space, start } of countedRegions(vm.snapshot, vm.topology)) {
      const base = vm.snapshot.layout.region(index);
      if (word(vm, base + REGION.reads) + word(vm, base + REGION.writes) === 0) continue;
      yield* points(vm, base, { vm: vm.name, device, space, address: hexadecimal(start) });
    }
  }
}

/** The addresses that were accessed: possibly a thousand in each VM, so generated one at a time. */
function* eachAddress(facts: MetricFacts, points: Points): Generator<Point> {
  for (const vm of countedVms(facts)) {
    const regions = new Map(countedRegions(vm.snapshot, vm.topology).map(region => [region.index, region]));
    for (let entry = 0; entry < ADDRESS_ENTRIES; entry++) {
      const base = vm.snapshot.layout.address(entry);
      const key = parseAddressKey(vm.snapshot.words[base + ADDRESS.key] ?? 0n);
      const region = key === null ? undefined : regions.get(key.region);
      if (key === null || region === undefined) continue;
      const { device, space } = region;
      yield* points(vm, base, { vm: vm.name, device, space, address: hexadecimal(key.address) });
    }
  }
}

function hexadecimal(address: number): string {
  return `0x${address.toString(16)}`;
}
