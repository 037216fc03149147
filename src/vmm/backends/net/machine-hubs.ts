import type { QueueCounters, QueueName } from '../../../devices/virtio/queue-counters.ts';
import { checked, nativeCalls } from '../../native/native-library.ts';
import type { Wire } from './wire.ts';

type Hub = { readonly handle: number; ports: number };

/** The hubs of a machine, by number. A hub exists while it has a port. */
export class MachineHubs {
  readonly #vm: number;
  readonly #allocateCounters: (name: QueueName) => QueueCounters;
  readonly #hubs = new Map<number, Hub>();
  readonly #calls = nativeCalls();

  /** @param vm handle of the native VM */
  constructor(vm: number, allocateCounters: (name: QueueName) => QueueCounters) {
    this.#vm = vm;
    this.#allocateCounters = allocateCounters;
  }

  /** Adds the ports that come with a card. @returns removes them; the caller keeps their fds */
  attach(device: string, { number, ports }: NonNullable<Wire['hub']>): () => void {
    const hub = this.#hubs.get(number) ?? this.#create(number);
    const removals: (() => void)[] = [];
    const detach = () => {
      for (const remove of removals.splice(0)) remove();
      if (hub.ports > 0 || !this.#hubs.delete(number)) return;
      checked('vring_hub_destroy', this.#calls.vring_hub_destroy(this.#vm, hub.handle));
    };
    try {
      for (const { fd, label } of ports) removals.push(this.#add(hub, fd, device, label));
      return detach;
    } catch (error) {
      detach();
      throw error;
    }
  }

  #create(number: number): Hub {
    const hub = { handle: checked('vring_hub_create', this.#calls.vring_hub_create(this.#vm)), ports: 0 };
    this.#hubs.set(number, hub);
    return hub;
  }

  #add(hub: Hub, fd: number, device: string, label: string): () => void {
    const queue = label === device ? 'hub port' : `hub port ${label}`;
    const counters = this.#allocateCounters({ device, type: 'hub', queue, size: 0 });
    let port: number;
    try {
      port = checked('vring_hub_add', this.#calls.vring_hub_add(this.#vm, hub.handle, fd, counters.slot));
    } catch (error) {
      counters.release();
      throw error;
    }
    hub.ports++;
    return () => {
      checked('vring_hub_remove', this.#calls.vring_hub_remove(this.#vm, hub.handle, port));
      counters.release();
      hub.ports--;
    };
  }
}
