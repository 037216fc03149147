import { MAX_RSS_TABLE, RSS_HASHES, RSS_KEY_BYTES } from '../backends/net.ts';
import type { AccessSize } from '../device.ts';

/** Offsets in the config space (virtio 1.3 §5.1.4). */
const FIELD = {
  mac: 0,
  status: 6,
  maxPairs: 8,
  mtu: 10,
  speed: 12,
  duplex: 16,
  rssKeyBytes: 17,
  rssTable: 18,
  rssHashes: 20,
} as const;

/** Bits of the status. */
const STATUS = { linkUp: 1, announce: 2 } as const;

/** Field values for an unknown speed or duplex. */
const UNKNOWN = { speed: 0xffff_ffff, duplex: 0xff } as const;

export type LinkMode = {
  /** Megabits per second. */
  readonly speed: number | null;
  readonly duplex: 'half' | 'full' | null;
};

/** The config space of a network device. */
export class NetConfig {
  static readonly size = 24;
  readonly #view = new DataView(new ArrayBuffer(NetConfig.size));

  /** @param scales whether the driver may configure how received frames are spread (RSS) */
  constructor(pairs: number, mtu: number | null, { speed, duplex }: LinkMode, scales: boolean) {
    this.#view.setUint16(FIELD.maxPairs, pairs, true);
    this.#view.setUint16(FIELD.mtu, mtu ?? 0, true);
    this.#view.setUint32(FIELD.speed, speed ?? UNKNOWN.speed, true);
    this.#view.setUint8(FIELD.duplex, duplex === null ? UNKNOWN.duplex : duplex === 'full' ? 1 : 0);
    if (!scales) return;
    this.#view.setUint8(FIELD.rssKeyBytes, RSS_KEY_BYTES);
    this.#view.setUint16(FIELD.rssTable, MAX_RSS_TABLE, true);
    this.#view.setUint32(FIELD.rssHashes, RSS_HASHES, true);
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  get mac(): Uint8Array {
    return new Uint8Array(this.#view.buffer, FIELD.mac, 6).slice();
  }

  set mac(mac: Uint8Array) {
    new Uint8Array(this.#view.buffer).set(mac, FIELD.mac);
  }

  get linkUp(): boolean {
    return this.#status(STATUS.linkUp);
  }

  set linkUp(up: boolean) {
    this.#setStatus(STATUS.linkUp, up);
  }

  /** The driver is asked to announce itself. */
  get announce(): boolean {
    return this.#status(STATUS.announce);
  }

  set announce(on: boolean) {
    this.#setStatus(STATUS.announce, on);
  }

  #status(bit: number): boolean {
    return (this.#view.getUint16(FIELD.status, true) & bit) !== 0;
  }

  #setStatus(bit: number, on: boolean): void {
    const status = this.#view.getUint16(FIELD.status, true);
    this.#view.setUint16(FIELD.status, on ? status | bit : status & ~bit, true);
  }
}
