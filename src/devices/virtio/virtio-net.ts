import type { NetBackend, ReceiveSideScaling } from '../backends/net.ts';
import { type NetLimits, netLimitsOf, savedNetLimits } from '../backends/net-limits.ts';
import type { AccessSize, DeviceState } from '../device.ts';
import type { MachineServices } from '../machine-services.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf, stateOf } from '../state.ts';
import { ModelQueue, type ModelQueueServices } from './model-queue.ts';
import { type LinkMode, NetConfig } from './net-config.ts';
import { ACK, carryOut, MAX_COMMAND, type NetControl } from './net-control.ts';
import { GUEST_OFFLOADS, NET_FEATURE, offloadsOf } from './net-features.ts';
import { NetFilter, type ReceiveMode } from './net-filter.ts';
import { saveScaling, scalingOf } from './net-rss.ts';
import type { Chain } from './ring/chain.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from './virtio-device.ts';

const CONTROL_QUEUE_SIZE = 64;
const MAC_BYTES = 6;

export type VirtioNetOptions = {
  readonly name: string;
  readonly transportFeatures: bigint;
  /** The features of the device. */
  readonly features: bigint;
  readonly mac: Uint8Array;
  readonly pairs: number;
  readonly mtu: number | null;
  readonly mode: LinkMode;
  /** The sizes of the queues. */
  readonly receiveSize: number;
  readonly transmitSize: number;
  /** The number of interrupt vectors; null for one for each queue, and one for config changes. */
  readonly vectors: number | null;
  /** The initial state, until `setLink` and `setLimits`. */
  readonly link: boolean;
  readonly limits: NetLimits;
};

/**
 * A network device (virtio 1.3 §5.1). This is its control plane: features, config space and control queue. The back end
 * serves the queues of frames off the machine thread.
 */
export class VirtioNet implements VirtioDevice, NetControl {
  readonly name: string;
  readonly type = 'virtio-net';
  readonly deviceId = 1;
  readonly pciClass = 0x020000;
  readonly queueNames: readonly string[];
  readonly queueSizes: readonly number[];
  readonly vectors: number | null;
  readonly features: bigint;
  readonly transportFeatures: bigint;
  readonly configSize = NetConfig.size;
  onConfigChanged: (() => void) | null = null;
  /** Called when its facts may have changed without a command. */
  onFactsChanged: (() => void) | null = null;
  readonly #backend: NetBackend;
  readonly #services: ModelQueueServices;
  readonly #config: NetConfig;
  readonly #filter = new NetFilter();
  readonly #mac: Uint8Array;
  readonly #maxPairs: number;
  /** The features negotiated with the driver. */
  #agreed = 0n;
  #pairs = 1;
  #scaling: ReceiveSideScaling | null = null;
  #guestOffloads = 0n;
  #limits: NetLimits = {};
  #link = true;

  constructor(
    options: VirtioNetOptions,
    backend: NetBackend,
    services: ModelQueueServices & Pick<MachineServices, 'warn'>,
  ) {
    const { pairs, features } = options;
    this.name = options.name;
    this.transportFeatures = options.transportFeatures;
    this.features = features;
    this.vectors = options.vectors;
    this.#backend = backend;
    this.#services = services;
    this.#mac = options.mac;
    this.#maxPairs = pairs;
    this.#config = new NetConfig(pairs, options.mtu, options.mode, (features & NET_FEATURE.rss) !== 0n);
    const indices = Array.from({ length: pairs }, (_, pair) => (pairs === 1 ? '' : ` ${pair}`));
    const hasControl = (features & NET_FEATURE.ctrlQueue) !== 0n;
    this.queueNames = [...indices.flatMap(pair => [`receive${pair}`, `transmit${pair}`]), 'control'].slice(
      0,
      2 * pairs + Number(hasControl),
    );
    this.queueSizes = this.queueNames.map((_, index) =>
      index === 2 * pairs ? CONTROL_QUEUE_SIZE : index % 2 === 0 ? options.receiveSize : options.transmitSize,
    );
    this.#reset();
    this.setLink(options.link);
    this.setLimits(options.limits);
    backend.onDataPath = () => this.onFactsChanged?.();
    backend.onConnected = connected => {
      this.#linkChanged();
      this.onFactsChanged?.();
      if (!connected)
        services.warn(
          `${this.name} has lost its network (${backend.label}), whose other end is gone: attach another card, or start the VM again`,
        );
    };
  }

  /** The negotiated features. */
  get agreed(): bigint {
    return this.#agreed;
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  /** A modern driver changes the address by a command. */
  writeConfig(): void {}

  negotiated(features: bigint): void {
    this.#agreed = features;
    this.#reset();
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const { index } = queue;
    const multiqueue = (driver.features & (NET_FEATURE.multiqueue | NET_FEATURE.rss)) !== 0n;
    const pairs = multiqueue ? this.#maxPairs : 1;
    if (index === 2 * pairs)
      return new ModelQueue(queue, driver, this.#services, each => this.#control(each));
    // For a driver without multiqueue, which does not use it.
    if (index > 2 * pairs) return new ModelQueue(queue, driver, this.#services, () => {});
    const options = { features: driver.features, pair: index >> 1, onBroken: driver.broken };
    return index % 2 === 0
      ? this.#backend.startReceive(queue, options)
      : this.#backend.startTransmit(queue, options);
  }

  /** A driver that can announce itself does so: the network's path to it may have changed. */
  resumed(wasLoaded: boolean): void {
    // Reports a change of the link in the meantime.
    this.#linkChanged();
    if (!wasLoaded || (this.#agreed & NET_FEATURE.guestAnnounce) === 0n) return;
    this.#config.announce = true;
    this.onConfigChanged?.();
  }

  get link(): boolean {
    return this.#link;
  }

  /** Plugs the cable in or out, and notifies the driver. */
  setLink(up: boolean): void {
    this.#link = up;
    this.#backend.setLink(up);
    this.#linkChanged();
  }

  /** The most that the guest gets of the network. */
  get limits(): NetLimits {
    return this.#limits;
  }

  setLimits(limits: NetLimits): void {
    this.#backend.setLimits(limits);
    this.#limits = limits;
  }

  get mac(): Uint8Array {
    return this.#config.mac;
  }

  get pairs(): number {
    return this.#pairs;
  }

  /** How the driver spreads received frames (RSS); null if it leaves that to the network. */
  get scaling(): ReceiveSideScaling | null {
    return this.#scaling;
  }

  setMode(mode: ReceiveMode, on: boolean): void {
    this.#filter.setMode(mode, on);
    this.#filterChanged();
  }

  setAddresses(unicast: Uint8Array, multicast: Uint8Array): void {
    this.#filter.setAddresses(unicast, multicast);
    this.#filterChanged();
  }

  setMac(mac: Uint8Array): void {
    this.#config.mac = mac;
    this.#filterChanged();
  }

  setVlan(vlan: number, on: boolean): void {
    this.#filter.setVlan(vlan, on);
    this.#filterChanged();
  }

  announced(): void {
    this.#config.announce = false;
  }

  setPairs(count: number): boolean {
    if (count < 1 || count > this.#maxPairs) return false;
    this.#applyPairs(count, null);
    return true;
  }

  setScaling(scaling: ReceiveSideScaling, pairs: number): boolean {
    if (pairs > this.#maxPairs) return false;
    this.#applyPairs(pairs, scaling);
    return true;
  }

  setGuestOffloads(bits: bigint): boolean {
    if ((bits & ~(this.#agreed & GUEST_OFFLOADS)) !== 0n) return false;
    this.#guestOffloads = bits;
    this.#backend.setOffloads(offloadsOf(bits));
    return true;
  }

  save(): DeviceState {
    return {
      mac: this.#config.mac,
      announce: this.#config.announce,
      pairs: this.#pairs,
      ...(this.#scaling && { scaling: saveScaling(this.#scaling) }),
      guestOffloads: this.#guestOffloads,
      link: this.#link,
      linkUp: this.#config.linkUp,
      filter: this.#filter.save(),
      limits: savedNetLimits(this.#limits),
    };
  }

  load(state: DeviceState): void {
    const { guestOffloads } = state;
    const mac = bytesOf(state, 'mac');
    if (mac.length !== MAC_BYTES) throw new DeviceStateError('mac', 'MAC address');
    if (typeof guestOffloads !== 'bigint' || (guestOffloads & ~(this.#agreed & GUEST_OFFLOADS)) !== 0n)
      throw new DeviceStateError('guestOffloads', 'negotiated offloads');
    const pairs = numberOf(state, 'pairs', this.#maxPairs);
    if (pairs < 1) throw new DeviceStateError('pairs', 'number of queue pairs');
    const scaling = 'scaling' in state ? scalingOf(stateOf(state, 'scaling'), pairs) : null;
    const [link, linkUp] = [booleanOf(state, 'link'), booleanOf(state, 'linkUp')];
    const announce = booleanOf(state, 'announce');
    const limits = netLimitsOf(stateOf(state, 'limits'));
    this.#filter.load(stateOf(state, 'filter'));
    this.#config.mac = mac;
    this.#config.announce = announce;
    this.setGuestOffloads(guestOffloads);
    this.#applyPairs(pairs, scaling);
    this.#filterChanged();
    this.setLimits(limits);
    this.#link = link;
    this.#backend.setLink(link);
    this.#config.linkUp = linkUp;
  }

  close(): void {
    this.#backend.close();
  }

  /** The state that a newly negotiated driver finds. */
  #reset(): void {
    this.#config.mac = this.#mac;
    this.#config.announce = false;
    this.#filter.reset();
    this.#filterChanged();
    this.setPairs(1);
    this.setGuestOffloads(this.#agreed & GUEST_OFFLOADS);
  }

  #applyPairs(count: number, scaling: ReceiveSideScaling | null): void {
    const wasScaling = this.#scaling !== null;
    this.#pairs = count;
    this.#scaling = scaling;
    this.#backend.setPairs(count);
    this.#backend.setScaling(scaling);
    if (wasScaling !== (scaling !== null)) this.onFactsChanged?.();
  }

  #filterChanged(): void {
    const filtersVlans = (this.#agreed & NET_FEATURE.ctrlVlan) !== 0n;
    this.#backend.setFilter(this.#filter.filter(this.#config.mac, filtersVlans));
  }

  #linkChanged(): void {
    const up = this.#link && this.#backend.connected;
    if (up === this.#config.linkUp) return;
    this.#config.linkUp = up;
    this.onConfigChanged?.();
  }

  #control(queue: ModelQueue): void {
    for (let chain = queue.take(); chain !== null; chain = queue.take()) this.#command(queue, chain);
  }

  #command(queue: ModelQueue, chain: Chain): void {
    if (chain.writableBytes === 0) {
      queue.broken('gave no room for the answer to a command');
      return;
    }
    const tooLong = chain.readableBytes > MAX_COMMAND;
    const answer = tooLong ? ACK.error : carryOut(this, queue.read(chain, 0, MAX_COMMAND));
    queue.giveBack(chain, queue.write(chain, 0, Uint8Array.of(answer)));
  }
}
