import type * as z from 'zod';
import type { Device, IoHandler } from './device.ts';
import type { MachineServices } from './machine-services.ts';
import type { PciFunction } from './pci/pci-function.ts';

/** Ports that a device responds to. */
export type PortRange = { readonly start: number; readonly size: number; readonly handler: IoHandler };

/** A property of a device that is constant while the machine runs: `size`, 10737418240 bytes. */
export type DeviceFact = {
  readonly label: string;
  readonly value: string | number | boolean;
  readonly unit?: 'bytes';
};

/** A new device, and what the machine must connect for it. */
export type BuiltDevice = {
  readonly device: Device;
  /** Functions to plug into the PCI host. */
  readonly pci?: PciFunction;
  /** Ranges to claim on the port bus. */
  readonly ports?: readonly PortRange[];
  /** What screens show about it. */
  readonly facts?: readonly DeviceFact[];
};

/**
 * The schema library, passed as an argument. The table does not import it: it would cost each machine thread more memory
 * and start time than all device models together.
 */
export type Zod = typeof z;

/** How QEMU's command line names a device. */
export type QemuNames = {
  /** The value of `-device`: `virtio-blk-pci`. */
  readonly devices: readonly string[];
  /**
   * The option that each of QEMU's properties sets. `drive` sets its option to the drive's file, and the drive's format, readonly
   * and cache with it; `netdev` sets its option to the network.
   */
  readonly properties: Readonly<Record<string, string>>;
};

/** A row of the registration table. */
export type DeviceType = {
  /** The name in configurations and on screens: `virtio-blk`. */
  readonly type: string;
  readonly title: string;
  /** One sentence, without its full stop. */
  readonly description: string;
  /** Its role, for screens with a section for such devices. */
  readonly role?: 'disk' | 'network';
  /** Absent where QEMU has no such device. */
  readonly qemu?: QemuNames;
};

/** A device that every machine has. */
export type BuiltinType = DeviceType & {
  readonly builtin: true;
  create(services: MachineServices): BuiltDevice;
};

/** A device that a configuration may list any number of times. */
export type ConfigurableType<Schema extends z.ZodObject = z.ZodObject> = DeviceType & {
  readonly builtin?: false;
  /** The prefix of default names: `blk` gives `blk0`, `blk1`. */
  readonly prefix: string;
  /** The builtin device that this one replaces. */
  readonly replaces?: string;
  /** The schema of the options, with the literal `type`. */
  readonly config: (zod: Zod) => Schema;
  /** @throws an error for the user */
  create(services: MachineServices, options: z.output<Schema>, name: string): BuiltDevice;
};

/** A device's name in its machine. */
export const DEVICE_NAME = {
  pattern: /^[a-z][a-z0-9-]{0,15}$/,
  rule: 'a device name starts with a letter, has only lowercase letters, digits and "-", and at most 16 characters',
} as const;
