import type { ReceiveFilter } from '../../devices/backends/net.ts';
import type { Wire } from '../backends/net/wire.ts';
import {
  FILTER_FLAG,
  filterConfigStruct,
  netConfigStruct,
  queueConfigStruct,
  wireConfigStruct,
} from './abi.ts';
import { encodeLimits, type RateLimits } from './limiters.ts';
import { checked, nativeCalls } from './native-library.ts';
import type { QueueConfig } from './queues.ts';

const VLANS = 4096;

/** The backend of a network card's queue. */
export type NetQueue = {
  readonly wire: NativeWire;
  readonly pair: number;
  readonly transmits: boolean;
};

/** A network card's connection, in the form used by its queue threads. */
export class NativeWire {
  readonly handle: number;
  readonly #vm: number;
  readonly #calls = nativeCalls();

  /**
   * @param vm handle of the native VM. @param wire its fds are duplicated, and non-blocking
   * @param noticeFd an eventfd that is signaled once the other end is closed
   */
  constructor(
    vm: number,
    { fds, header, shared }: Pick<Wire, 'fds' | 'header' | 'shared'>,
    noticeFd: number,
  ) {
    this.#vm = vm;
    const config = wireConfigStruct.encode({
      fds: fds.length,
      header: Number(header === 'virtio'),
      noticeFd,
      memoryFd: shared?.memory ?? -1,
      roomFd: shared?.room ?? -1,
    });
    const numbers = new Int32Array([...fds, -1]);
    this.handle = checked('vring_wire_open', this.#calls.vring_wire_open(vm, config, numbers));
  }

  /** Sets whether frames are carried at all, and of how many queue pairs. */
  set(link: boolean, pairs: number): void {
    checked('vring_wire_set', this.#calls.vring_wire_set(this.#vm, this.handle, Number(link), pairs));
  }

  get isConnected(): boolean {
    return checked('vring_wire_connected', this.#calls.vring_wire_connected(this.#vm, this.handle)) === 1;
  }

  setFilter(filter: ReceiveFilter): void {
    const { unicast, multicast } = filter;
    const vlans = Array.from({ length: VLANS / 64 }, () => 0n);
    for (const vlan of filter.vlans ?? []) vlans[vlan >> 6]! |= 1n << BigInt(vlan & 63);
    const config = filterConfigStruct.encode({
      flags: flagsOf(filter),
      unicast: unicast.length,
      multicast: multicast.length,
      reserved: 0,
      vlans,
    });
    const addresses = Buffer.concat([...unicast, ...multicast]);
    const result = this.#calls.vring_wire_filter(this.#vm, this.handle, config, addresses, addresses.length);
    checked('vring_wire_filter', result);
  }

  limit(direction: 'receive' | 'transmit', limits: RateLimits): void {
    const transmits = Number(direction === 'transmit');
    const result = this.#calls.vring_wire_limit(this.#vm, this.handle, transmits, encodeLimits(limits));
    checked('vring_wire_limit', result);
  }

  close(): void {
    checked('vring_wire_close', this.#calls.vring_wire_close(this.#vm, this.handle));
  }
}

function flagsOf(filter: ReceiveFilter): number {
  const flags = [
    [filter.promiscuous, FILTER_FLAG.promiscuous],
    [filter.allMulticast, FILTER_FLAG.allMulticast],
    [filter.allUnicast, FILTER_FLAG.allUnicast],
    [filter.noMulticast, FILTER_FLAG.noMulticast],
    [filter.noUnicast, FILTER_FLAG.noUnicast],
    [filter.noBroadcast, FILTER_FLAG.noBroadcast],
    [filter.vlans !== null, FILTER_FLAG.vlans],
  ] as const;
  return flags.reduce((all, [is, bit]) => all | (is ? bit : 0), 0);
}

/** Starts the thread of a queue. @returns its handle, as in `queueBroken` events */
export function startNetQueue(
  vm: number,
  queue: QueueConfig,
  unfinished: Uint8Array,
  { wire, pair, transmits }: NetQueue,
): number {
  const config = queueConfigStruct.encode(queue);
  const net = netConfigStruct.encode({ wire: wire.handle, pair, transmits: Number(transmits) });
  return checked(
    'vring_net_queue_start',
    nativeCalls().vring_net_queue_start(vm, config, unfinished, unfinished.length, net),
  );
}
