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
import type { NvmeNamespace } from './storage/nvme/namespace.ts';
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

/** A property of a device, which changes only by a user's command while the machine runs: `size`, 10737418240 bytes. */
export type DeviceFact = {
  readonly label: string;
  readonly value: string | number | boolean;
  readonly unit?: 'bytes';
};

/** The ACPI power button of a machine. */
export interface PowerButton {
  press(): void;
  /** Whether the guest has enabled it; otherwise the guest does not notice it. */
  readonly enabled: boolean;
}

/** The power management of a machine whose guest may enter S3. */
export interface SleepControl {
  readonly asleep: boolean;
  /** Whether the guest has enabled this wake source. */
  wakesBy(by: WakeSource): boolean;
  /** Reports to the guest what has woken it, after the device has been reset. */
  wake(by: WakeSource): void;
}

/** A disk whose properties can be changed while it is in use. */
export interface DiskControl {
  /** Identifies its file or block device on the host, regardless of the name; null if the drive is empty. */
  readonly file: string | null;
  /** The size of the store is now `bytes`, a multiple of 512. */
  resize(bytes: number): void;
  setLimits(limits: DiskLimits): void;
  /** Absent or null if its medium cannot change. */
  readonly drive?: DriveControl | null;
}

/** A drive with a removable medium. */
export interface DriveControl {
  /**
   * Inserts another medium into the drive; null ejects the current one. A guest that has locked the drive is asked to
   * release it first, unless `force` is set.
   * @throws an error for the user
   */
  change(medium: DiskOptions | null, force: boolean): void;
  /** Calls back when the guest has opened, closed, locked or unlocked the drive. */
  onChanged(hook: () => void): Cancel;
}

/** A network card whose properties can be changed while it is in use. */
export interface NicControl {
  /** Plugs its cable in or out. */
  setLink(up: boolean): void;
  setLimits(limits: NetLimits): void;
  /**
   * Calls back when the card's facts may have changed without a command: its network is gone, or another data path
   * carries its frames.
   */
  onChanged?(hook: () => void): Cancel;
}

/** A passed-through device of the host. */
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
  /** Sets how many bytes of its memory the guest should keep. @throws an error for the user */
  setTarget(bytes: number): void;
  /** Calls back when `facts` may have changed. */
  onChanged(hook: () => void): Cancel;
}

/** Bits of a byte of CMOS RAM, in which firmware looks for what a PC's user would have set up. */
export type CmosBits = { readonly register: number; readonly mask: number; readonly value: number };

/** The CMOS RAM of a machine. */
export interface CmosRam {
  set(bits: CmosBits): void;
}

/** What a device does at the host's request: a machine uses the capabilities of its devices, whatever their type. */
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
  /** The device as seen by its SCSI bus. */
  readonly scsi?: ScsiDevice;
  /** The device as seen by its ATA interface. */
  readonly ata?: AtaDrive;
  /** The device as seen by its floppy controller. */
  readonly floppy?: FloppyUnit;
  /** The device as seen by its NVMe controller. */
  readonly nvme?: NvmeNamespace;
  /** The device as seen by its USB port. */
  readonly usb?: UsbDevice;
  /** The device as seen by its SD slot. */
  readonly sd?: SdDevice;
  /** Ranges to claim on the port bus. */
  readonly ports?: readonly PortRange[];
  /** Ranges of guest-physical memory to claim, for a device that is not on PCI. */
  readonly memory?: readonly MemoryRange[];
  readonly acpi?: AcpiParts;
  readonly capabilities?: DeviceCapabilities;
  /** A port of a virtio-serial device. */
  readonly serialPort?: SerialPort;
  /** The bus that it provides. */
  readonly bus?: DeviceBus;
  /** What firmware finds out about it and the devices on its bus, as of when the machine has been built. */
  readonly cmos?: readonly CmosBits[];
  /** How firmware boots from it; absent if it does not. */
  readonly boot?: BootDevice;
  /** What screens show about it. */
  readonly facts?: readonly DeviceFact[];
};

/** The buses that a device may sit on. */
export const BUSES = [
  'pci',
  'isa',
  'scsi',
  'ide',
  'sata',
  'nvme',
  'floppy',
  'usb',
  'sd',
  'virtio-serial',
] as const;

export type BusKind = (typeof BUSES)[number];

/**
 * A place on a bus: a PCI slot and a function, a SCSI target and a logical unit of it, or the number of a drive or
 * port, whose `function` is 0.
 */
export type BusAddress = { readonly unit: number; readonly function: number };

/** A bus that a device provides to others. */
export interface DeviceBus {
  /**
   * How devices are plugged in and unplugged while the machine runs, if the guest is asked to release them; absent if
   * they cannot be.
   */
  readonly hotplug?: PciHotplug;
  /** The same, if the guest is notified rather than asked. */
  readonly units?: UnitHotplug;
  /** Connects a device to the bus. @param address null for any free one. @throws an error for the user */
  attach(built: BuiltDevice, address: BusAddress | null): void;
  /** Disconnects a device, if that takes any action. */
  detach?(built: BuiltDevice): void;
  /** Where firmware looks for the devices on it. */
  readonly bootPath?: BootPath;
  /** The address of a device on the bus; null or absent if it is the requested one. */
  addressOf?(built: BuiltDevice): BusAddress | null;
}

/** How devices are plugged into a bus and unplugged while the machine runs, without the guest's cooperation. */
export interface UnitHotplug {
  /** The first free address; null if there is none. */
  free(): BusAddress | null;
  /** Notifies the guest of a device that has been attached. @returns whether its driver has asked for that */
  announce(built: BuiltDevice): boolean;
}

/** How QEMU's command line names a device. */
export type QemuNames = {
  /** The value of `-device`: `virtio-blk-pci`. */
  readonly devices: readonly string[];
  /**
   * The option that each of QEMU's properties sets. `drive` sets its option to the drive's file, and the drive's
   * format, readonly and cache along with it; `netdev` sets its option to the network, and `chardev` to the character
   * back end.
   */
  readonly properties: Readonly<Record<string, string>>;
};

/** How libvirt names a device: an element of <devices>, by the value of its model or bus, or an input's bus and type. */
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

/** The key of such devices in definitions: `disks` of bus `virtio`, `rng`. */
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
  /** Among types with the same key, the value that selects this one: a disk's bus, a network card's model. */
  readonly value?: string;
  /** For disks: it is for CD-ROMs. */
  readonly cdrom?: true;
};

/** A row of the device table: everything that the rest of the program needs to know about a device model. */
export type DeviceType = {
  /** The name in configurations and on screens: `virtio-blk`. */
  readonly type: string;
  readonly title: string;
  /** One sentence, without its period. */
  readonly description: string;
  /** The kind of bus that it connects to. */
  readonly bus: BusKind;
  /** The bus that it provides for other devices, which refer to it by this device's name, and the addresses on it. */
  readonly provides?: { readonly kind: BusKind; readonly first: number; readonly units: number };
  /**
   * Default: it may be plugged in and unplugged while the machine runs, if its bus supports that. A device that
   * provides a bus may not.
   */
  readonly hotplug?: false;
  /**
   * The kind of its back end. Screens have a section for each kind. A device with a disk has the options of
   * `diskFields`, one with a network those of `netFields`.
   */
  readonly backend?: BackendKind;
  /** For a network device: it takes frames with a virtio_net_hdr in front; default: bare frames only. */
  readonly vnetHeader?: true;
  /** Absent if QEMU has no such device. */
  readonly qemu?: QemuNames;
  /** Absent if libvirt has no such device. */
  readonly libvirt?: LibvirtNames;
  /** Absent if definitions list it only under `devices`. */
  readonly definition?: DefinitionKey;
};

/** A device that every machine has. */
export type BuiltinType = DeviceType & {
  readonly builtin: true;
  /** Only machines that boot a kernel directly have it; a PC does not. */
  readonly onlyWithKernel?: true;
  /** The device's name; default: its type. */
  readonly name?: string;
  create(services: MachineServices): BuiltDevice;
};

/** A device that a configuration may list any number of times. */
export type ConfigurableType<Schema extends z.ZodObject = z.ZodObject> = DeviceType & {
  readonly builtin?: false;
  /** The prefix of default names: `blk` gives `blk0`, `blk1`. */
  readonly prefix: string;
  /** The built-in device that this one replaces. */
  readonly replaces?: string;
  /** A machine has at most one. */
  readonly single?: true;
  /** The schema of the options: `deviceFields`, and those of the type. */
  readonly config: (zod: Zod) => Schema;
  /** The number of virtqueues of a device with these options; absent for none. */
  queues?(options: z.output<Schema>): number;
  /** For a network device: the number of its queue pairs; absent for one. */
  queuePairs?(options: z.output<Schema>): number;
  /** For a network device: whether the host's kernel may carry its frames; absent if it cannot. */
  vhost?(options: z.output<Schema>): boolean;
  /** @throws an error for the user */
  create(services: MachineServices, options: z.output<Schema>, name: string): BuiltDevice;
};

const HOTPLUG_BUSES: ReadonlySet<BusKind> = new Set(['pci', 'scsi', 'sata', 'nvme', 'usb', 'sd']);

/** Whether devices of a row may be plugged in and unplugged while their machine runs. */
export function isHotpluggable({ bus, provides, hotplug }: DeviceType): boolean {
  return HOTPLUG_BUSES.has(bus) && provides === undefined && hotplug !== false;
}

/** The syntax of device names. */
export const DEVICE_NAME = {
  pattern: /^[a-z][a-z0-9-]{0,15}$/,
  rule: 'a device name starts with a letter, has only lowercase letters, digits and "-", and at most 16 characters',
} as const;

/**
 * The options that every configurable device has, including its type. `vring devices TYPE` shows their descriptions.
 */
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
