import { expect } from 'vitest';
import type { AnyConfigurable } from '../../src/devices/device-table.ts';
import { CAPABILITY, COMMAND, REG } from '../../src/devices/pci/registers.ts';
import { BROADCAST_BYTES, frameTo, MAC_BYTES, NicRig } from './nic-rig.ts';

export const [D0, D3] = [0, 3];
export const PME_EN = 0x100;
export const PME_STATUS = 0x8000;
/** The request that the machine gets when PME# is asserted. */
export const WOKEN = { kind: 'wake', by: 'network' };
export const MULTICAST_BYTES = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
export const OTHER_BYTES = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);

/** A driver that arms a card to wake its machine. */
export class WakeDriver {
  readonly rig: NicRig;

  constructor(row: AnyConfigurable) {
    this.rig = new NicRig(row);
  }

  get requests() {
    return this.rig.machine.requests;
  }

  get #capability(): number {
    return this.rig.built.pci!.readConfig(REG.capabilities, 1);
  }

  get capabilities(): number {
    const at = this.#capability;
    expect(this.rig.built.pci!.readConfig(at, 1)).toBe(CAPABILITY.powerManagement);
    return this.rig.built.pci!.readConfig(at + 2, 2);
  }

  /** PMCSR. */
  get control(): number {
    return this.rig.built.pci!.readConfig(this.#capability + 4, 2);
  }

  set control(value: number) {
    this.rig.built.pci!.writeConfig(this.#capability + 4, 2, value);
  }

  /** Called after the card's configuration space has been reset. */
  place(): void {
    this.rig.machine.pci.assign();
    this.rig.built.pci!.writeConfig(REG.command, 2, COMMAND.io | COMMAND.memory | COMMAND.busMaster);
  }

  setLink(up: boolean): void {
    this.rig.built.capabilities!.nic!.setLink(up);
  }

  receive(...frames: Uint8Array[]): void {
    expect(this.rig.port.receive(...frames)).toBe(0);
  }
}

/** A frame with the magic sequence at this offset of its payload. */
export function magic(target: Uint8Array, at = 20, address: Uint8Array = MAC_BYTES): Uint8Array {
  const frame = frameTo(target, 14 + at + 102 + 10);
  frame.set(BROADCAST_BYTES, 14 + at);
  for (let count = 0; count < 16; count++) frame.set(address, 14 + at + 6 + 6 * count);
  return frame;
}

/** An ARP request for an address, or a message with another operation. */
export function arp(address: readonly number[], operation = 1): Uint8Array {
  const frame = frameTo(BROADCAST_BYTES, 64);
  frame.set([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation], 12);
  frame.set(address, 38);
  return frame;
}
