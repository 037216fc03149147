import { ADDRESS, ADDRESS_ENTRIES, parseAddressKey, REGION } from '../../vmm/counters/counters.ts';
import { type CountedVm, countedVms, NS_PER_SECOND, word } from './counters.ts';
import type { Family, Labels, MetricFacts, Point } from './metric.ts';

/** What the guest accessed that a device model answers: by range, and by exact address. */
export const ACCESS_METRICS: readonly Family[] = [
  {
    name: 'vring_region_accesses',
    type: 'counter',
    help: 'Accesses of the guest to a range of ports or memory that a device model answers; address is where the range begins.',
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
    help: 'Time of the device model for these accesses.',
    labels: ['vm', 'device', 'space', 'address'],
    points: facts =>
      eachRegion(facts, (vm, base, labels) => [
        { labels, value: word(vm, base + REGION.ns) / NS_PER_SECOND },
      ]),
  },
  {
    name: 'vring_exit_address_accesses',
    type: 'counter',
    help: 'Accesses of the guest to one exact address that a device model answers.',
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
    help: 'Time of the device model for the accesses to that address.',
    labels: ['vm', 'device', 'space', 'address'],
    points: facts =>
      eachAddress(facts, (vm, entry, labels) => [
        { labels, value: word(vm, entry + ADDRESS.ns) / NS_PER_SECOND },
      ]),
  },
];

type Points = (vm: CountedVm, offset: number, labels: Labels) => Point[];

/** Ranges that were accessed. */
function eachRegion(facts: MetricFacts, points: Points): Point[] {
  return countedVms(facts).flatMap(vm =>
    vm.topology.regions.flatMap(({ device, space, start }, index) => {
      const base = vm.snapshot.layout.region(index);
      if (word(vm, base + REGION.reads) + word(vm, base + REGION.writes) === 0) return [];
      return points(vm, base, { vm: vm.name, device, space, address: hexadecimal(start) });
    }),
  );
}

function eachAddress(facts: MetricFacts, points: Points): Point[] {
  return countedVms(facts).flatMap(vm =>
    Array.from({ length: ADDRESS_ENTRIES }, (_, entry) => vm.snapshot.layout.address(entry)).flatMap(base => {
      const key = parseAddressKey(vm.snapshot.words[base + ADDRESS.key] ?? 0n);
      const region = key === null ? undefined : vm.topology.regions[key.region];
      if (key === null || region === undefined) return [];
      const { device, space } = region;
      return points(vm, base, { vm: vm.name, device, space, address: hexadecimal(key.address) });
    }),
  );
}

function hexadecimal(address: number): string {
  return `0x${address.toString(16)}`;
}
