import type * as z from 'zod';
import type { Device, IoHandler } from './device.ts';
import type { MachineServices } from './machine-services.ts';
import type { PciFunction } from './pci/pci-function.ts';

/** Ports that a device answers. */
export type PortRange = { readonly start: number; readonly size: number; readonly handler: IoHandler };

/** Something about a device that stays as it is while the machine runs: `size`, 10737418240 bytes. */
export type DeviceFact = {
  readonly label: string;
  readonly value: string | number | boolean;
  readonly unit?: 'bytes';
};

/** A device that has been made, and what the machine has to wire for it. */
export type BuiltDevice = {
  readonly device: Device;
  /** To be plugged into the PCI host. */
  readonly pci?: PciFunction;
  /** To be claimed on the port bus. */
  readonly ports?: readonly PortRange[];
  /** What a screen tells of it. */
  readonly facts?: readonly DeviceFact[];
  /** Gives back what `create` opened, when the machine ends. */
  readonly close?: () => void;
};

/**
 * The schema library, handed to who describes options with it. The table does not load it: it would take more of each
 * machine thread's memory and start than all device models together.
 */
export type Zod = typeof z;

/** How QEMU's command line says a device. */
export type QemuNames = {
  /** What stands after `-device`: `virtio-blk-pci`. */
  readonly devices: readonly string[];
  /**
   * The option that each of QEMU's properties sets. `drive` sets its option to the drive's file, and the drive's format, readonly
   * and cache with it; `netdev` sets its option to the network.
   */
  readonly properties: Readonly<Record<string, string>>;
};

/** A row of the registration table. */
export type DeviceType = {
  /** `virtio-blk`: what configurations and screens call it. */
  readonly type: string;
  readonly title: string;
  /** One sentence, without its full stop. */
  readonly description: string;
  /** What it is to its user, where screens have a place for such devices. */
  readonly role?: 'disk' | 'network';
  /** Absent where QEMU has no such device. */
  readonly qemu?: QemuNames;
};

/** A device that every machine has. */
export type BuiltinType = DeviceType & {
  readonly builtin: true;
  create(services: MachineServices): BuiltDevice;
};

/** A device that a machine has as often as its configuration asks for it. */
export type ConfigurableType<Schema extends z.ZodObject = z.ZodObject> = DeviceType & {
  readonly builtin?: false;
  /** What the names of such devices begin with: `blk` gives `blk0`, `blk1`. */
  readonly prefix: string;
  /** The type of a device that every machine has, but not one with this device. */
  readonly replaces?: string;
  /** The schema of the options, with the literal `type`. */
  readonly config: (zod: Zod) => Schema;
  /** @throws with a sentence for the user. */
  create(services: MachineServices, options: z.output<Schema>, name: string): BuiltDevice;
};

/** A device's name in its machine. */
export const DEVICE_NAME = {
  pattern: /^[a-z][a-z0-9-]{0,15}$/,
  rule: 'a device name has lower-case letters, digits and "-", starts with a letter, and is at most 16 long',
} as const;
