import type { RegionCounters, RegionLabel } from '../../devices/bus.ts';
import type { QueueCounters } from '../../devices/virtio/queue-counters.ts';
import type { CounterLabels, QueueLabel } from '../machine/topology.ts';
import { AddressCounters } from './address-counters.ts';
import { CounterLayout, type CounterShape } from './counters.ts';
import { SharedQueueCounters } from './queue-counters.ts';
import { SharedRegionCounters } from './region-counters.ts';

/** Assigns a VM's counter blocks to the queues and bus ranges of its machine, and records the assignment. */
export class CounterBlocks {
  readonly #words: BigUint64Array;
  readonly #layout: CounterLayout;
  readonly #addresses: AddressCounters;
  readonly #queues: QueueLabel[] = [];
  readonly #regions: RegionLabel[] = [];

  constructor(words: BigUint64Array, shape: CounterShape) {
    this.#words = words;
    this.#layout = new CounterLayout(shape);
    this.#addresses = new AddressCounters(words, this.#layout);
  }

  queue(label: QueueLabel): QueueCounters {
    const slot = take(this.#queues, label, this.#layout.shape.queues, 'virtqueues');
    return new SharedQueueCounters(this.#words, this.#layout.queue(slot), slot);
  }

  region(label: RegionLabel): RegionCounters {
    const index = take(this.#regions, label, this.#layout.shape.regions, 'ranges of ports and memory');
    return new SharedRegionCounters(this.#words, this.#layout, index, this.#addresses);
  }

  get labels(): CounterLabels {
    return { shape: this.#layout.shape, queues: [...this.#queues], regions: [...this.#regions] };
  }
}

function take<Label>(labels: Label[], label: Label, max: number, what: string): number {
  if (labels.length === max)
    throw new Error(`the machine has more than ${max} ${what}: give it fewer devices`);
  return labels.push(label) - 1;
}
