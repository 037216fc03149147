import { parseNic } from '../../definitions/create/network-option.ts';
import { keyProblems } from '../../definitions/issues.ts';
import { nicDevice } from '../../definitions/nic-device.ts';
import { typedEntry } from '../../definitions/qemu/device-rows.ts';
import { deviceConfigOf } from '../../devices/device-config.ts';
import { BUSES, type BusKind } from '../../devices/device-type.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { parseAddress, withDomain } from '../../host/pci/address.ts';
import { splitCommas } from '../../text/commas.ts';
import { likely } from '../../text/nearest.ts';
import { UsageError } from '../../text/usage-error.ts';
import { parseDisk } from '../values.ts';

/** The options of `vring vm attach` that describe the device. */
export type DeviceOptions = {
  readonly disk?: string;
  readonly pci?: string;
  readonly net?: string;
  readonly device?: string;
  readonly id?: string;
  readonly bus?: string;
  readonly addr?: string;
};

/**
 * The device that a command's options describe. @param kindOf the kind of a bus that a device of the VM provides;
 * undefined for other names
 * @throws UsageError
 */
export function deviceOf(
  options: DeviceOptions,
  kindOf: (bus: string) => BusKind | undefined = () => undefined,
): DeviceConfig {
  const { id, bus, addr } = options;
  // A kind stands for the first bus of that kind.
  const kind = BUSES.find(kind => kind === bus);
  const named = kind !== undefined || bus === undefined ? undefined : kindOf(bus);
  const device = onBus(given(options), options, kind ?? named, named !== undefined);
  const own = { ...(id !== undefined && { name: id }), ...(bus !== undefined && !kind && { bus }) };
  return { ...device, ...own, ...(addr !== undefined && { addr }) };
}

/** The first type of disk on a bus of this kind; null if there is none. */
function typeOn(kind: BusKind): string | null {
  return deviceTable.configurable.find(row => row.backend === 'disk' && row.bus === kind)?.type ?? null;
}

/**
 * A disk gets the type that its bus takes. @param isNamed the bus is that of a certain device, rather than any of its
 * kind: of kind nvme, that is a controller, which a disk on bus nvme of a definition includes
 */
function onBus(
  device: DeviceConfig,
  { disk }: DeviceOptions,
  kind: BusKind | undefined,
  isNamed: boolean,
): DeviceConfig {
  if (disk === undefined || kind === undefined || kind === 'pci') return device;
  const type = isNamed ? typeOn(kind) : deviceTable.typeOfKey('disks', kind);
  if (type === null) throw new UsageError(`--bus: this version of vring has no disks for ${kind} buses`);
  return { ...device, type };
}

function given({ disk, pci, net, device }: DeviceOptions): DeviceConfig {
  const texts = Object.entries({ disk, pci, net, device }).filter(([, text]) => text !== undefined);
  if (texts.length !== 1)
    throw new UsageError('expected one of --disk, --pci, --net and --device, and only one of them');
  if (disk !== undefined) return parseDisk(disk);
  if (pci !== undefined) return parsePassthrough(pci);
  if (device !== undefined) return parseDevice(device);
  return nicDevice(parseNic(net!, '--net'), `--net ${net}`);
}

/** `0000:02:00.0,rombar=off` */
function parsePassthrough(text: string): DeviceConfig {
  const [host = '', ...settings] = splitCommas(text);
  const full = withDomain(host);
  if (parseAddress(full) === null)
    throw new UsageError(`--pci ${text}: expected a PCI address first, as in --pci 0000:02:00.0`);
  const type = deviceTable.typeOfKey('passthrough');
  if (type === null)
    throw new Error(`this version of vring does not support PCI passthrough (--pci ${host})`);
  return entryOf(`--pci ${text}`, type, [`host=${full}`, ...settings]);
}

/** `virtio-rng,max-bytes=1024,id=rng1`: a type of vring or a QEMU name, with options of either. */
function parseDevice(text: string): DeviceConfig {
  const [name = '', ...settings] = splitCommas(text);
  if (name === '') throw new UsageError('--device: expected a type first, as in --device virtio-rng');
  const rows = deviceTable.configurable;
  const row = rows.find(({ type, qemu }) => type === name || qemu?.devices.includes(name));
  // A type that a device module of the VM may add: only its machine knows it.
  if (row === undefined && likely(name, typeNames()) !== null)
    throw new UsageError(`--device ${text}: did you mean ${likely(name, typeNames())}?`);
  return entryOf(`--device ${text}`, row?.type ?? name, settings);
}

function typeNames(): string[] {
  return deviceTable.configurable.flatMap(({ type, qemu }) => [type, ...(qemu?.devices ?? [])]);
}

function entryOf(option: string, type: string, settings: readonly string[]): DeviceConfig {
  const properties = deviceTable.find(type)?.qemu?.properties ?? {};
  const entry: Record<string, unknown> = { type };
  for (const setting of settings) {
    const at = setting.indexOf('=');
    const property = at < 0 ? setting : setting.slice(0, at);
    const value = at < 0 ? 'on' : setting.slice(at + 1);
    const key = property === 'id' ? 'name' : (properties[property] ?? property);
    if (property === 'drive' || property === 'netdev')
      throw new UsageError(`${option}: there are no drives to refer to: write path=FILE`);
    if (property === '' || Object.hasOwn(entry, key))
      throw new UsageError(
        `${option}: ${property === '' ? 'an option is empty' : `${property} is given twice`}`,
      );
    entry[key] = value;
  }
  return checked(option, typedEntry(entry));
}

/**
 * Reports problems as for a definition. For types added by a device module, only its machine knows the options. @throws
 * UsageError
 */
function checked(option: string, entry: DeviceConfig): DeviceConfig {
  if (deviceTable.find(entry.type) === undefined) return entry;
  const parsed = deviceConfigOf(entry.type).safeParse(entry, { reportInput: true });
  if (parsed.success) return entry;
  const issues = parsed.error.issues.map(issue => ({ ...issue, path: ['devices', 0, ...issue.path] }));
  const [problem] = keyProblems(issues, { devices: [entry] });
  if (problem === undefined) return entry;
  const [, , key] = problem.path;
  throw new UsageError(`${option}: ${key === undefined ? '' : `${String(key)}: `}${problem.message}`);
}
