import type { RegionCounters, RegionLabel } from '../../devices/bus.ts';
import type { Statistic, StatisticName } from '../../devices/statistic.ts';
import type { QueueCounters, QueueName } from '../../devices/virtio/queue-counters.ts';
import type { CounterLabels, QueueLabel, RegionPlace, StatisticPlace } from '../machine/topology.ts';
import { AccessTimes } from './access-times.ts';
import { AddressCounters } from './address-counters.ts';
import {
  addCount,
  CounterLayout,
  type CounterShape,
  HEADER,
  MAX_STATISTICS,
  QUEUE,
  REGION,
  STATISTIC,
} from './counters.ts';
import { SharedRegionCounters } from './region-counters.ts';

/**
 * Assigns a VM's counter blocks to the queues and bus ranges of its machine, and records the assignment. A released
 * block is zeroed and reused. Every assignment has an id that is unique within this VM, in the label and in the block,
 * so a reader with an old label does not attribute the new owner's counts to the former one.
 */
export class CounterBlocks {
  readonly #times: AccessTimes;
  readonly #words: BigUint64Array;
  readonly #layout: CounterLayout;
  readonly #addresses: AddressCounters;
  readonly #onChange: () => void;
  readonly #queues: Places<QueueLabel>;
  readonly #regions: Places<RegionPlace>;
  readonly #statistics: Places<StatisticPlace>;
  #lastId = 0;
  #kept = false;

  /**
   * @param onChange called when `labels` has changed
   * @param timed where the words are named that count the time of an access (access-times.ts)
   */
  constructor(
    words: BigUint64Array,
    shape: CounterShape,
    onChange: () => void = () => {},
    timed: Uint32Array = new Uint32Array(2),
  ) {
    this.#words = words;
    this.#layout = new CounterLayout(shape);
    this.#addresses = new AddressCounters(words, this.#layout);
    this.#times = new AccessTimes(timed);
    this.#onChange = onChange;
    this.#queues = new Places(shape.queues, 'virtqueues');
    this.#regions = new Places(shape.regions, 'ranges of ports and memory');
    this.#statistics = new Places(MAX_STATISTICS, 'statistics of devices');
  }

  /** @throws if there is no free block */
  queue(name: QueueName): QueueCounters {
    const slot = this.#queues.free();
    const base = this.#layout.queue(slot);
    const id = this.#assign(base + QUEUE.id);
    this.#queues.take(slot, { id, slot, ...name });
    this.#onChange();
    const release = () => {
      if (this.#kept || this.#queues.at(slot)?.id !== id) return;
      this.#queues.release(slot);
      this.#clear(base + QUEUE.id, base, QUEUE.words);
      this.#onChange();
    };
    return { slot, release, add: (count, amount) => addCount(this.#words, base + QUEUE[count], amount) };
  }

  /** @throws if there is no free block */
  region(label: RegionLabel): RegionCounters {
    const index = this.#regions.free();
    const base = this.#layout.region(index);
    const id = this.#assign(base + REGION.id);
    this.#regions.take(index, { id, index, ...label });
    this.#onChange();
    return new SharedRegionCounters(this.#words, this.#layout, index, this.#addresses, this.#times, () => {
      if (this.#kept || this.#regions.at(index)?.id !== id) return;
      this.#regions.release(index);
      this.#clear(base + REGION.id, base, REGION.words);
      this.#addresses.forget(index);
      this.#times.forget();
      this.#onChange();
    });
  }

  /** @throws if there is none left */
  statistic(name: StatisticName): Statistic {
    const words = this.#words;
    const index = this.#statistics.free();
    const base = this.#layout.statistic(index);
    const id = this.#assign(base + STATISTIC.id);
    this.#statistics.take(index, { id, index, ...name });
    this.#onChange();
    return {
      add: amount => addCount(words, base + STATISTIC.value, amount),
      release: () => {
        if (this.#kept || this.#statistics.at(index)?.id !== id) return;
        this.#statistics.release(index);
        this.#clear(base + STATISTIC.id, base, STATISTIC.words);
        this.#onChange();
      },
    };
  }

  get labels(): CounterLabels {
    return {
      shape: this.#layout.shape,
      queues: this.#queues.taken,
      regions: this.#regions.taken,
      statistics: this.#statistics.taken,
    };
  }

  /** The machine ends: from here on nothing is released, so that its last counts can be read. */
  keep(): void {
    this.#kept = true;
  }

  #assign(idWord: number): number {
    const id = ++this.#lastId;
    this.#words[HEADER.changes]! += 1n;
    this.#words[idWord] = BigInt(id);
    return id;
  }

  #clear(idWord: number, base: number, words: number): void {
    this.#words[HEADER.changes]! += 1n;
    this.#words[idWord] = 0n;
    this.#words.fill(0n, base, base + words);
  }
}

/** Blocks of one kind, by number, and what is in each. */
class Places<Label> {
  readonly #labels: (Label | null)[];
  readonly #what: string;

  constructor(count: number, what: string) {
    this.#labels = new Array<Label | null>(count).fill(null);
    this.#what = what;
  }

  free(): number {
    const place = this.#labels.indexOf(null);
    if (place >= 0) return place;
    throw new Error(`the machine has more than ${this.#labels.length} ${this.#what}: give it fewer devices`);
  }

  at(place: number): Label | null {
    return this.#labels[place] ?? null;
  }

  take(place: number, label: Label): void {
    this.#labels[place] = label;
  }

  release(place: number): void {
    this.#labels[place] = null;
  }

  get taken(): Label[] {
    return this.#labels.filter(label => label !== null);
  }
}
