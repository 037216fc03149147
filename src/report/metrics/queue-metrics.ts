import { countedQueues } from '../../engine/sampling/counted.ts';
import { QUEUE } from '../../vmm/counters/counters.ts';
import { type CountedVm, countedVms, latencyPoint, word } from './counters.ts';
import type { Family, Labels, MetricFacts } from './metric.ts';

/** Each virtqueue of a VM that has run, since its last start. */
export const QUEUE_METRICS: readonly Family[] = [
  counter('vring_queue_kicks', 'Available buffer notifications from the driver.', QUEUE.kicks),
  counter(
    'vring_queue_kicks_suppressed',
    'Batches of requests found without a notification, while polling.',
    QUEUE.kicksSuppressed,
  ),
  counter('vring_queue_interrupts', 'Interrupts sent to the driver.', QUEUE.interrupts),
  counter(
    'vring_queue_interrupts_suppressed',
    'Interrupts that the driver had suppressed.',
    QUEUE.interruptsSuppressed,
  ),
  counter('vring_queue_requests', 'Requests taken from the queue.', QUEUE.requests),
  counter(
    'vring_queue_batches',
    'Batches of requests taken from the queue; requests divided by batches is the mean batch size.',
    QUEUE.batches,
  ),
  counter('vring_queue_errors', 'Requests completed with an error.', QUEUE.errors),
  counter(
    'vring_queue_dropped',
    'Frames of a network card that were not passed on: filtered, refused, or lost on the host.',
    QUEUE.dropped,
  ),
  counter('vring_queue_disk_errors', "Requests that failed on the host's disk.", QUEUE.diskErrors),
  counter('vring_queue_throttled', 'Times that a rate limit made the queue wait.', QUEUE.throttled),
  {
    name: 'vring_queue_throttled_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time for which a rate limit made requests wait in the queue.',
    labels: ['vm', 'device', 'queue'],
    points: facts =>
      eachQueue(facts, (vm, base, labels) => [{ labels, value: word(vm, base + QUEUE.throttledNs) / 1e9 }]),
  },
  {
    name: 'vring_queue_bytes',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes transferred.',
    labels: ['vm', 'device', 'queue', 'direction'],
    points: facts =>
      eachQueue(facts, (vm, base, labels) => [
        { labels: { ...labels, direction: 'to_guest' }, value: word(vm, base + QUEUE.bytesToGuest) },
        { labels: { ...labels, direction: 'from_guest' }, value: word(vm, base + QUEUE.bytesFromGuest) },
      ]),
  },
  gauge('vring_queue_in_flight', 'Requests taken from the queue and not yet completed.', QUEUE.inFlight),
  gauge('vring_queue_max_in_flight', 'Most requests in flight at the same time.', QUEUE.maxInFlight),
  {
    name: 'vring_queue_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from taking a request to completing it.',
    labels: ['vm', 'device', 'queue'],
    points: facts =>
      eachQueue(facts, (vm, base, labels) => [
        latencyPoint(vm, labels, base + QUEUE.latency, word(vm, base + QUEUE.latencyNs)),
      ]),
  },
];

function counter(name: string, help: string, offset: number): Family {
  return perQueue('counter', name, help, offset);
}

function gauge(name: string, help: string, offset: number): Family {
  return perQueue('gauge', name, help, offset);
}

function perQueue(type: 'counter' | 'gauge', name: string, help: string, offset: number): Family {
  return {
    name,
    type,
    help,
    labels: ['vm', 'device', 'queue'],
    points: facts => eachQueue(facts, (vm, base, labels) => [{ labels, value: word(vm, base + offset) }]),
  };
}

function eachQueue<Item>(
  facts: MetricFacts,
  points: (vm: CountedVm, base: number, labels: Labels) => Item[],
): Item[] {
  return countedVms(facts).flatMap(vm =>
    countedQueues(vm.snapshot, vm.topology).flatMap(({ device, queue, slot }) =>
      points(vm, vm.snapshot.layout.queue(slot), { vm: vm.name, device, queue }),
    ),
  );
}
