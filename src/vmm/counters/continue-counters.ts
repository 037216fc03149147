import type { CounterLabels } from '../machine/topology.ts';
import { AddressCounters } from './address-counters.ts';
import {
  ADDRESS,
  ADDRESS_ENTRIES,
  CounterLayout,
  parseAddressKey,
  QUEUE,
  REGION,
  STATISTIC,
  VCPU,
} from './counters.ts';

/** Counters of a machine, and what each block counts. */
export type LabeledCounters = { readonly words: BigUint64Array; readonly labels: CounterLabels };

/**
 * Adds the counts of one machine to those of its successor with the same devices. Their layouts may differ. The former
 * may have been written by anyone: its numbers are only added up, or checked.
 */
export function continueCounters(from: LabeledCounters, to: LabeledCounters): void {
  const [source, target] = [new CounterLayout(from.labels.shape), new CounterLayout(to.labels.shape)];
  const add = (theirs: number, ours: number, words: number, except: readonly number[]) => {
    for (let word = 0; word < words; word++)
      if (!except.includes(word)) to.words[ours + word]! += from.words[theirs + word] ?? 0n;
  };

  const vcpus = Math.min(source.shape.vcpus, target.shape.vcpus);
  for (let vcpu = 0; vcpu < vcpus; vcpu++)
    add(source.vcpu(vcpu), target.vcpu(vcpu), VCPU.words, [VCPU.tid, VCPU.state]);

  for (const [theirs, ours] of matched(from.labels.queues, to.labels.queues, queueName)) {
    const base = target.queue(ours.slot);
    const most = from.words[source.queue(theirs.slot) + QUEUE.maxInFlight] ?? 0n;
    add(source.queue(theirs.slot), base, QUEUE.words, [QUEUE.id, QUEUE.inFlight, QUEUE.maxInFlight]);
    if (most > to.words[base + QUEUE.maxInFlight]!) to.words[base + QUEUE.maxInFlight] = most;
  }

  const regions = new Map<number, number>();
  for (const [theirs, ours] of matched(from.labels.regions, to.labels.regions, regionName)) {
    add(source.region(theirs.index), target.region(ours.index), REGION.words, [REGION.id]);
    regions.set(theirs.index, ours.index);
  }

  const named = [from.labels.statistics ?? [], to.labels.statistics ?? []] as const;
  for (const [theirs, ours] of matched(...named, statisticName))
    add(source.statistic(theirs.index), target.statistic(ours.index), STATISTIC.words, [STATISTIC.id]);

  const addresses = new AddressCounters(to.words, target);
  for (let index = 0; index < ADDRESS_ENTRIES; index++) {
    const entry = source.address(index);
    const key = parseAddressKey(from.words[entry + ADDRESS.key] ?? 0n);
    const region = key === null ? undefined : regions.get(key.region);
    if (key === null || region === undefined) continue;
    add(entry, addresses.entry(region, key.address), ADDRESS.words, [ADDRESS.key]);
  }
  add(source.otherAddresses, target.otherAddresses, ADDRESS.words, [ADDRESS.key]);
}

/** Pairs of entries with the same name; if several share one, they are paired in order. */
function* matched<Label>(
  theirs: readonly Label[],
  ours: readonly Label[],
  nameOf: (label: Label) => string,
): Generator<readonly [Label, Label]> {
  const left = new Map<string, Label[]>();
  for (const label of theirs) {
    const name = nameOf(label);
    left.set(name, [...(left.get(name) ?? []), label]);
  }
  for (const label of ours) {
    const found = left.get(nameOf(label))?.shift();
    if (found !== undefined) yield [found, label];
  }
}

const queueName = ({ device, queue }: CounterLabels['queues'][number]) => `${device} ${queue}`;
const regionName = ({ device, space, start, size }: CounterLabels['regions'][number]) =>
  `${device} ${space} ${start} ${size}`;
const statisticName = ({ device, name }: { readonly device: string; readonly name: string }) =>
  `${device} ${name}`;
