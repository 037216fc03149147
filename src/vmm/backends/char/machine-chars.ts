import type { DeviceState } from '../../../devices/device.ts';
import type { Connection, FdChar } from './fd-char.ts';

/** The connected back end of a device. */
export type CharConnection = { readonly device: string; readonly connection: Exclude<Connection, 'none'> };

/**
 * The character back ends of a machine that have a socket or a pseudoterminal, by their devices. They are held until the
 * machine runs: while it is built, another process may still have their connections.
 */
export class MachineChars {
  readonly #chars = new Map<string, FdChar>();
  #holds = 0;
  readonly #letBegin = this.hold();

  /** Whether those that are opened now are to be held at first. */
  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** The machine runs. May be called more than once. */
  begin(): void {
    this.#letBegin();
  }

  add(device: string, char: FdChar): void {
    this.#chars.set(device, char);
  }

  remove(device: string): void {
    this.#chars.delete(device);
  }

  /**
   * From now on, until the returned function is called, none of them reads or writes, or accepts a client: what they
   * have can be saved without losing or repeating a byte. That function may be called more than once.
   */
  hold(): () => void {
    if (this.#holds++ === 0) for (const char of this.#chars.values()) char.hold();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--this.#holds === 0) for (const char of this.#chars.values()) char.release();
    };
  }

  /** While they are held: what their other ends have sent becomes a part of their states, since the machine may end. */
  readAhead(): void {
    for (const char of this.#chars.values()) char.readAhead();
  }

  /** By device, while they are held. */
  save(): { [device: string]: DeviceState } {
    return Object.fromEntries(Array.from(this.#chars, ([device, char]) => [device, char.save()]));
  }

  /** The machine may have other back ends than the saved one had. @throws DeviceStateError */
  load(states: { readonly [device: string]: DeviceState }): void {
    for (const [device, char] of this.#chars) {
      const state = Object.hasOwn(states, device) ? states[device] : undefined;
      if (state !== undefined) char.load(state);
    }
  }

  /** The fds stay theirs. */
  get connections(): CharConnection[] {
    return Array.from(this.#chars).flatMap(([device, { connection }]) =>
      connection === 'none' ? [] : [{ device, connection }],
    );
  }

  /**
   * They continue with the connections that they had in another process, while they are held; those without one have
   * none. Takes over the fds. @throws if a connection is that of no back end
   */
  continueWith(connections: readonly CharConnection[]): void {
    const left = new Map(connections.map(({ device, connection }) => [device, connection]));
    for (const [device, char] of this.#chars) {
      char.continueWith(left.get(device) ?? 'none');
      left.delete(device);
    }
    const [device] = left.keys();
    if (device !== undefined) throw new Error(`the VM has no device "${device}" with a connection`);
  }
}
