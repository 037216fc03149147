import type * as z from 'zod';
import type { AcpiParts } from './acpi/acpi-parts.ts';
import type { BackendKind } from './backends/backend-type.ts';
import type { DiskLimits, DiskOptions } from './backends/disk.ts';
import type { NetLimits } from './backends/net-limits.ts';
import type { BootDevice, BootPath } from './boot-device.ts';
import type { Cancel, Device, IoHandler, WakeSource } from './device.ts';
import type { ScreenControl } from './display/screen-frame.ts';
import type { KeyboardControl, PointerControl } from './input/input-event.ts';
import type { MachineServices } from './machine-services.ts';
import type { PciFunction } from './pci/pci-function.ts';
import type { PciHotplug } from './pci/pci-hotplug.ts';
import type { ScsiDevice } from './scsi/scsi-device.ts';
import type { SdDevice } from './sd/sd-device.ts';
import type { AtaDrive } from './storage/ata/ata-drive.ts';
import type { FloppyUnit } from './storage/floppy/unit.ts';
import type { UsbDevice } from './usb/usb-device.ts';
import type { HostDeviceFacts } from './vfio/host-device-facts.ts';
import type { BalloonFacts } from './virtio/balloon/facts.ts';
import type { SerialPort } from './virtio/serial/port.ts';
import type { Zod } from './zod.ts';

export type { Zod } from './zod.ts';

/** Ports that a device responds to. */
export type PortRange = { readonly start: number; readonly size: number; readonly handler: IoHandler };

/** Memory that a device responds to: `start` is a guest-physical address, `size` in bytes. */
export type MemoryRange = { readonly start: number; readonly size: number; readonly handler: IoHandler };

/** A property of a device, which only a command of the user changes while the machine runs: `size`, 10737418240 bytes. */
export type DeviceFact = {
  readonly label: string;
  readonly value: string | number | boolean;
  readonly unit?: 'bytes';
};

/** The ACPI power button of a machine. */
export interface PowerButton {
  press(): void;
  /** Whether the guest has turned it on; one that has not does not notice it. */
  readonly enabled: boolean;
}

/** The power management of a machine whose guest may sleep in S3. */
export interface SleepControl {
  readonly asleep: boolean;
  /** Whether the guest has this wake it up. */
  wakesBy(by: WakeSource): boolean;
  /** Tells the guest what has woken it up, after the device has been reset. */
  wake(by: WakeSource): void;
}

/** A disk whose properties can be changed while it is in use. */
export interface DiskControl {
  /** What tells its file or block device from every other of the host, whatever its name; null: the drive is empty. */
  readonly file: string | null;
  /** The store has this many bytes now, a multiple of 512. */
  resize(bytes: number): void;
  setLimits(limits: DiskLimits): void;
  /** Absent or null: it stays what it is. */
  readonly drive?: DriveControl | null;
}

/** A drive with a medium that can be changed. */
export interface DriveControl {
  /**
   * Puts another medium into the drive; null takes out what is in it. A guest that has locked the drive is asked to release it first,
   * unless `force` is given.
   * @throws an error for the user
   */
  change(medium: DiskOptions | null, force: boolean): void;
  /** Calls back when the guest has opened, closed, locked or unlocked it. */
  onChanged(hook: () => void): Cancel;
}

/** A network card whose properties can be changed while it is in use. */
export interface NicControl {
  /** Plugs its cable in, or out. */
  setLink(up: boolean): void;
  setLimits(limits: NetLimits): void;
  /** Calls back when the card's facts may have changed by themselves: its network is gone, or another data path carries its frames. */
  onChanged?(hook: () => void): Cancel;
}

/** A device of the host that is passed through. */
export interface HostDeviceControl {
  /** What screens show of it now. */
  readonly facts: HostDeviceFacts;
  /** Calls back when `facts` may have changed. */
  onChanged(hook: () => void): Cancel;
}

/** A balloon, which takes memory from the guest. */
export interface BalloonControl {
  /** What screens show of it now. */
  readonly facts: BalloonFacts;
  /** The guest is to keep this many bytes of its memory. @throws an error for the user */
  setTarget(bytes: number): void;
  /** Calls back when `facts` may have changed. */
  onChanged(hook: () => void): Cancel;
}

/** Bits of a byte of CMOS RAM, in which firmware looks for what a PC's user once set up. */
export type CmosBits = { readonly register: number; readonly mask: number; readonly value: number };

/** CMOS RAM of a machine. */
export interface CmosRam {
  set(bits: CmosBits): void;
}

/** What a device does at the host's request: a machine uses what its devices have, whatever their type. */
export type DeviceCapabilities = {
  readonly powerButton?: PowerButton;
  readonly sleep?: SleepControl;
  readonly disk?: DiskControl;
  readonly nic?: NicControl;
  readonly hostDevice?: HostDeviceControl;
  readonly balloon?: BalloonControl;
  readonly screen?: ScreenControl;
  readonly keyboard?: KeyboardControl;
  readonly pointer?: PointerControl;
  readonly cmos?: CmosRam;
};

/** A new device, and what the machine must connect for it. */
export type BuiltDevice = {
  readonly device: Device;
  /** Functions to plug into the PCI host. */
  readonly pci?: PciFunction;
  /** What it is to the SCSI bus that it sits on. */
  readonly scsi?: ScsiDevice;
  /** What it is to the ATA interface that it sits on. */
  readonly ata?: AtaDrive;
  /** What it is to the floppy controller that it sits on. */
  readonly floppy?: FloppyUnit;
  /** What it is to the USB port that it sits on. */
  readonly usb?: UsbDevice;
  /** What it is to the slot that it sits in. */
  readonly sd?: SdDevice;
  /** Ranges to claim on the port bus. */
  readonly ports?: readonly PortRange[];
  /** Ranges of guest-physical memory to claim, of a device that is not on PCI. */
  readonly memory?: readonly MemoryRange[];
  readonly acpi?: AcpiParts;
  readonly capabilities?: DeviceCapabilities;
  /** A port of a virtio-serial device. */
  readonly serialPort?: SerialPort;
  /** The bus that it provides. */
  readonly bus?: DeviceBus;
  /** What firmware is to find of it and of what is on its bus, as they are when the machine has been built. */
  readonly cmos?: readonly CmosBits[];
  /** How firmware boots from it; absent: it does not. */
  readonly boot?: BootDevice;
  /** What screens show about it. */
  readonly facts?: readonly DeviceFact[];
};

/** The buses that a device may sit on. */
export const BUSES = ['pci', 'isa', 'scsi', 'ide', 'sata', 'floppy', 'usb', 'sd', 'virtio-serial'] as const;

export type BusKind = (typeof BUSES)[number];

/**
 * A place on a bus: a PCI slot and a function, a SCSI target and a logical unit of it, or the number of a drive or port, whose
 * `function` is 0.
 */
export type BusAddress = { readonly unit: number; readonly function: number };

/** A bus that a device provides for others. */
export interface DeviceBus {
  /** How devices come and go while the machine runs, when the guest is asked to release them; absent: they do not. */
  readonly hotplug?: PciHotplug;
  /** The same where the guest is told, and not asked. */
  readonly units?: UnitHotplug;
  /** Connects a device to the bus. @param address null: any that is free. @throws an error for the user */
  attach(built: BuiltDevice, address: BusAddress | null): void;
  /** Disconnects a device, if there is anything to do for that. */
  detach?(built: BuiltDevice): void;
  /** Where firmware looks for the devices on it. */
  readonly bootPath?: BootPath;
  /** Where a device is on it; null or absent: where it was to be. */
  addressOf?(built: BuiltDevice): BusAddress | null;
}

/** How devices come to a bus and leave it while the machine runs, at once. */
export interface UnitHotplug {
  /** The first place that is free; null: there is none. */
  free(): BusAddress | null;
  /** Tells the guest of a device that has been attached. @returns whether its driver wants to know */
  announce(built: BuiltDevice): boolean;
}

/** How QEMU's command line names a device. */
export type QemuNames = {
  /** The value of `-device`: `virtio-blk-pci`. */
  readonly devices: readonly string[];
  /**
   * The option that each of QEMU's properties sets. `drive` sets its option to the drive's file, and the drive's format, readonly
   * and cache with it; `netdev` sets its option to the network, and `chardev` to the character back end.
   */
  readonly properties: Readonly<Record<string, string>>;
};

/** How libvirt names a device: an element of <devices>, by the value of its model or bus. */
export type LibvirtNames = {
  readonly element:
    | 'disk'
    | 'interface'
    | 'rng'
    | 'memballoon'
    | 'hostdev'
    | 'controller'
    | 'input'
    | 'video'
    | 'watchdog'
    | 'panic'
    | 'tpm';
  readonly models: readonly string[];
};

/** A key that definitions have for such devices: `disks` of bus `virtio`, `rng`. */
export type DefinitionKey = {
  readonly key:
    | 'disks'
    | 'nics'
    | 'console'
    | 'channels'
    | 'rng'
    | 'balloon'
    | 'display'
    | 'inputs'
    | 'passthrough'
    | 'tpm';
  /** Of several types with the same key, the one that this value selects: a disk's bus, a network card's model. */
  readonly value?: string;
  /** Of disks: it is for CD-ROMs. */
  readonly cdrom?: true;
};

/** A row of the device table: everything about a device model that the rest of the program needs to know. */
export type DeviceType = {
  /** The name in configurations and on screens: `virtio-blk`. */
  readonly type: string;
  readonly title: string;
  /** One sentence, without its full stop. */
  readonly description: string;
  /** The kind of bus that it sits on. */
  readonly bus: BusKind;
  /** The bus that it provides for other devices, which name it by the name of this one, and the places on that. */
  readonly provides?: { readonly kind: BusKind; readonly first: number; readonly units: number };
  /** Absent: it may be plugged in and unplugged while the machine runs, if its bus can that. A device that provides a bus may not. */
  readonly hotplug?: false;
  /**
   * The kind of back end that it is connected to. Screens have a section for each kind. A device with a disk has the options
   * of `diskFields`, one with a network those of `netFields`.
   */
  readonly backend?: BackendKind;
  /** Of one with a network: it takes frames with a virtio_net_hdr in front; absent: bare ones only. */
  readonly vnetHeader?: true;
  /** Absent where QEMU has no such device. */
  readonly qemu?: QemuNames;
  /** Absent where libvirt has no such device. */
  readonly libvirt?: LibvirtNames;
  /** Absent where definitions list it under `devices` only. */
  readonly definition?: DefinitionKey;
};

/** A device that every machine has. */
export type BuiltinType = DeviceType & {
  readonly builtin: true;
  /** Only machines that boot a kernel directly have it: a PC has none. */
  readonly onlyWithKernel?: true;
  /** The device's name; its type if absent. */
  readonly name?: string;
  create(services: MachineServices): BuiltDevice;
};

/** A device that a configuration may list any number of times. */
export type ConfigurableType<Schema extends z.ZodObject = z.ZodObject> = DeviceType & {
  readonly builtin?: false;
  /** The prefix of default names: `blk` gives `blk0`, `blk1`. */
  readonly prefix: string;
  /** The builtin device that this one replaces. */
  readonly replaces?: string;
  /** A machine has at most one. */
  readonly single?: true;
  /** The schema of the options: `deviceFields`, and the type's own. */
  readonly config: (zod: Zod) => Schema;
  /** How many virtqueues a device with these options has; absent for none. */
  queues?(options: z.output<Schema>): number;
  /** Of one with a network: how many pairs of queues it has; absent for one. */
  queuePairs?(options: z.output<Schema>): number;
  /** Of one with a network: whether the host's kernel may carry its frames; absent: it cannot. */
  vhost?(options: z.output<Schema>): boolean;
  /** @throws an error for the user */
  create(services: MachineServices, options: z.output<Schema>, name: string): BuiltDevice;
};

const HOTPLUG_BUSES: ReadonlySet<BusKind> = new Set(['pci', 'scsi', 'sata', 'usb', 'sd']);

/** Whether devices of a row may come and go while their machine runs. */
export function isHotpluggable({ bus, provides, hotplug }: DeviceType): boolean {
  return HOTPLUG_BUSES.has(bus) && provides === undefined && hotplug !== false;
}

/** A device's name in its machine. */
export const DEVICE_NAME = {
  pattern: /^[a-z][a-z0-9-]{0,15}$/,
  rule: 'a device name starts with a letter, has only lowercase letters, digits and "-", and at most 16 characters',
} as const;

/** The options that every configurable device has, with its type. `vring devices TYPE` shows their descriptions. */
export function deviceFields<const Type extends string>(z: Zod, type: Type) {
  return { type: z.literal(type), ...commonFields(z) };
}

export function commonFields(z: Zod) {
  return {
    name: z
      .string()
      .regex(DEVICE_NAME.pattern, DEVICE_NAME.rule)
      .optional()
      .describe('its name in the machine (default: numbered)'),
    bus: z
      .string()
      .optional()
      .describe('the bus that it sits on: pci.0, isa.0, or the name of a device that provides one'),
    addr: z
      .string('expected an address in quotes, such as "05.0"')
      .optional()
      .describe(
        'its address on the bus: a PCI slot and function, in hexadecimal, a SCSI target and unit, such as 3:0, ' +
          'or a unit (default: any)',
      ),
  };
}
