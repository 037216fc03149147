import type * as z from 'zod';
import type { CharOptions } from './backends/char.ts';
import { type DiskOptions, diskCaches } from './backends/disk.ts';
import type { NetOptions } from './backends/net.ts';
import type { TpmOptions } from './backends/tpm.ts';
import type { BuiltDevice, BuiltinType, ConfigurableType, DefinitionKey, Zod } from './device-type.ts';
import type { MachineServices } from './machine-services.ts';
import { hostAddressOf } from './vfio/options.ts';

/** One entry of a configuration's `devices`, with the options that the row of its type declares. */
export type DeviceConfig = {
  readonly type: string;
  readonly name?: string | undefined;
  readonly bus?: string | undefined;
  readonly addr?: string | undefined;
  readonly [option: string]: unknown;
};

/** A PCI function of the host. */
export type HostFunction = {
  /** In full: `0000:01:10.0`. */
  readonly address: string;
  /** The expected `vendor:device`. */
  readonly id?: string;
  /** Whether it is opened through iommufd; default: if the kernel supports it. */
  readonly iommufd?: boolean;
  /** The VF token (a UUID) that opens it if its physical function, or a VF of it, is also open through VFIO. */
  readonly vfToken?: string;
  /** A file with its ROM. */
  readonly romfile?: string;
};

/** What a network card is connected to. */
export type DeviceNetwork = {
  readonly options: NetOptions;
  /** The card's address; null if none has been assigned. */
  readonly mac: string | null;
  readonly queuePairs: number;
  /** Its frames may have a virtio_net_hdr in front. */
  readonly header: boolean;
  /** Whether the host's kernel carries them where it can. */
  readonly vhost: boolean;
};

/** A row with the schema of its own options, in a table of any rows. */
// biome-ignore lint/suspicious/noExplicitAny: a row's `create` only ever gets what its own schema has checked
export type AnyConfigurable = ConfigurableType<any>;
export type DeviceRow = BuiltinType | AnyConfigurable;

/** Leaves room for a number in a device's name. */
const MAX_PREFIX = 12;

/**
 * The device models that a machine may have. A table is immutable: adding rows makes another table, so that each
 * machine may have its own models.
 */
export class DeviceTable {
  /** The built-in devices, then those that a configuration may list. */
  readonly rows: readonly DeviceRow[];
  readonly #byType: ReadonlyMap<string, DeviceRow>;

  /** @throws Error when two rows have the same type */
  constructor(rows: readonly DeviceRow[]) {
    this.rows = [...rows.filter(({ builtin }) => builtin), ...rows.filter(({ builtin }) => !builtin)];
    this.#byType = new Map(rows.map(row => [row.type, row]));
    if (this.#byType.size === rows.length) return;
    const twice = rows.find((row, index) => rows.findIndex(({ type }) => type === row.type) < index)!;
    throw new Error(`there are two devices of type "${twice.type}": rename one`);
  }

  /** This table and more rows. @throws Error when a type is in the table already */
  with(...rows: readonly DeviceRow[]): DeviceTable {
    return new DeviceTable([...this.rows, ...rows]);
  }

  get builtin(): readonly BuiltinType[] {
    return this.rows.filter(row => row.builtin === true);
  }

  get configurable(): readonly AnyConfigurable[] {
    return this.rows.filter(row => row.builtin !== true);
  }

  /** The row of a type that a configuration may list; undefined for all other types. */
  find(type: string): AnyConfigurable | undefined {
    const row = this.#byType.get(type);
    return row?.builtin === true ? undefined : row;
  }

  /** The type that a key of definitions stands for; null if there is no such device. */
  typeOfKey(key: DefinitionKey['key'], value?: string, cdrom = false): string | null {
    const row = this.configurable.find(
      ({ definition }) =>
        definition?.key === key && definition.value === value && (definition.cdrom ?? false) === cdrom,
    );
    return row?.type ?? null;
  }

  /** The row of a checked entry. */
  rowOf({ type }: DeviceConfig): AnyConfigurable {
    const row = this.find(type);
    if (row === undefined)
      throw new Error(`there is no device of type "${type}": vring devices lists the types`);
    return row;
  }

  /** The built-in devices of a machine with these configured devices, which may replace some of them. */
  builtinBeside(configs: readonly DeviceConfig[]): BuiltinType[] {
    const replaced = new Set(configs.map(({ type }) => this.find(type)?.replaces));
    return this.builtin.filter(({ type }) => !replaced.has(type));
  }

  /** The first duplicate of a type that a machine may have at most once, and what is wrong; null if there is none. */
  secondOfSingle(
    devices: readonly { readonly type: string }[],
  ): { readonly index: number; readonly message: string } | null {
    const index = devices.findIndex(
      ({ type }, at) => this.find(type)?.single && devices.findIndex(other => other.type === type) < at,
    );
    if (index === -1) return null;
    return {
      index,
      message: `a VM has at most one ${this.find(devices[index]!.type)!.title}: remove this one`,
    };
  }

  /** The schema of an entry of a configuration's `devices`. */
  schema(zod: Zod): z.ZodType<DeviceConfig, DeviceConfig> {
    const schemas = this.configurable.map(row => row.config(zod) as z.ZodObject);
    return zod.discriminatedUnion('type', schemas as [z.ZodObject, ...z.ZodObject[]]) as unknown as z.ZodType<
      DeviceConfig,
      DeviceConfig
    >;
  }

  /** The names of the built-in devices of such a machine. */
  builtinNames(configs: readonly DeviceConfig[]): string[] {
    return this.builtinBeside(configs).map(({ name, type }) => name ?? type);
  }

  /** The devices' names: the configured ones, and `blk0`, `blk1` ... for the others. @throws an error for the user */
  names(configs: readonly DeviceConfig[]): string[] {
    const taken = new Set(this.builtinNames(configs));
    for (const { name } of configs) {
      if (name === undefined) continue;
      if (taken.has(name)) throw new Error(`two devices are named "${name}": rename one`);
      taken.add(name);
    }
    return configs.map(config => {
      if (config.name !== undefined) return config.name;
      const name = this.freeName(this.rowOf(config).type, taken);
      taken.add(name);
      return name;
    });
  }

  /**
   * The first free name for a device of this type: `blk1`. For a type that a device module adds, the prefix is the
   * type.
   */
  freeName(type: string, taken: ReadonlySet<string>): string {
    const prefix = this.find(type)?.prefix ?? type.slice(0, MAX_PREFIX);
    for (let index = 0; ; index++) if (!taken.has(`${prefix}${index}`)) return `${prefix}${index}`;
  }

  /** The disk of an entry, checked or not; null if it has none. */
  disk({ type, path, format, readonly, cache, transient }: DeviceConfig): DiskOptions | null {
    if (this.find(type)?.backend !== 'disk' || typeof path !== 'string') return null;
    const given = format as DiskOptions['format'];
    return {
      path,
      format: given,
      readonly: readonly === true,
      cache: diskCaches.find(mode => mode === cache) ?? 'writeback',
      ...(transient === true && { transient }),
    };
  }

  /** The network of a checked entry; null if it has none. */
  network(config: DeviceConfig): DeviceNetwork | null {
    const { type, network, mac } = config;
    const row = this.find(type);
    if (row?.backend !== 'net') return null;
    return {
      options: (network ?? { type: 'none' }) as NetOptions,
      mac: typeof mac === 'string' ? mac : null,
      queuePairs: row.queuePairs?.(config) ?? 1,
      header: row.vnetHeader === true,
      vhost: row.vhost?.(config) ?? false,
    };
  }

  /** The file of an entry's expansion ROM; null if it has none, or if the device finds it itself. */
  romFile({ romfile }: DeviceConfig): string | null {
    return typeof romfile === 'string' && romfile !== '' ? romfile : null;
  }

  /** The back end of an entry's character device, checked or not; null if it has none. */
  chardev({ type, chardev }: DeviceConfig): CharOptions | null {
    if (this.find(type)?.backend !== 'char' || chardev === undefined) return null;
    return typeof chardev === 'string' ? ({ type: chardev } as CharOptions) : (chardev as CharOptions);
  }

  /** The TPM of a checked entry; null if it has none. */
  tpm({ type, tpm }: DeviceConfig): TpmOptions | null {
    return this.find(type)?.backend === 'tpm' ? (tpm as TpmOptions) : null;
  }

  /** The PCI function of the host that an entry passes through, checked or not; null if it has none. */
  hostDevice(config: DeviceConfig): HostFunction | null {
    const { type, host, sysfsdev, id, iommufd, romfile, 'vf-token': vfToken } = config;
    if (this.find(type)?.definition?.key !== 'passthrough') return null;
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
    if (text(host) === undefined && text(sysfsdev) === undefined) return null;
    return {
      address: hostAddressOf({ host: text(host), sysfsdev: text(sysfsdev) }),
      ...(typeof id === 'string' && { id: id.toLowerCase() }),
      ...(typeof iommufd === 'boolean' && { iommufd }),
      ...(typeof vfToken === 'string' && { vfToken }),
      ...(typeof romfile === 'string' && { romfile }),
    };
  }

  /** Creates a configured device. @throws an error for the user */
  create(services: MachineServices, config: DeviceConfig, name: string): BuiltDevice {
    return this.rowOf(config).create(services, config, name);
  }
}
