import type { DeviceTable } from '../devices/device-table.ts';
import { type DeviceConfig, deviceTable } from '../devices/registry.ts';
import { type WantedHostDevice, wantedHostDevices } from '../engine/host-devices/wanted.ts';
import type { DefinedDevice } from '../engine/hotplug/defined-device.ts';
import { definedDevices } from '../engine/hotplug/defined-devices.ts';
import { type VmNic, vmNics } from '../engine/networks/vm-nics.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { checkDevice } from './device-check.ts';
import { hostFunctionsOfSlot, passedFunctions, vfSettings } from './passed-functions.ts';
import { refuseSameDisk } from './same-disk.ts';
import type { Definition } from './schema.ts';
import { type WantedEntry, wantedDevices } from './wanted-devices.ts';
import { andList } from './words.ts';

/** Something that a definition asks for and this version of vring does not support. */
export type NotYet = {
  /** The key that asks for it. */
  readonly key: string;
  /** A mass noun or a plural: `e1000 network cards`. */
  readonly what: string;
};

/** A valid definition that asks for something this version does not support; the message names all of it. */
export class NotYetError extends Error {
  override readonly name = 'NotYetError';
  readonly missing: readonly NotYet[];

  constructor(vm: string, missing: readonly NotYet[]) {
    super(`${vm} cannot start: ${unsupported(missing)}`);
    this.missing = missing;
  }
}

/** `this version of vring does not support UEFI firmware (machine.firmware: uefi)`. */
export function unsupported(missing: readonly NotYet[]): string {
  return `this version of vring does not support ${andList(missing.map(({ key, what }) => `${what} (${key})`))}`;
}

/** The machine that a definition describes. @throws NotYetError, SameDiskError */
export function toMachine(definition: Definition, table = deviceTable): MachineConfigInput {
  const { name, cpus, memory, machine } = definition;
  const { devices } = fromTable(definition, table);
  const missing = notYet(definition, table);
  if (missing.length > 0) throw new NotYetError(name, missing);
  refuseSameDisk(definition);
  return {
    name,
    ...(machine.uuid !== undefined && { uuid: machine.uuid }),
    cpus: cpus.count,
    ...(cpus.maxcpus !== undefined && { maxCpus: cpus.maxcpus }),
    ...(cpus.topology && { topology: cpus.topology }),
    memory: {
      bytes: memory.size,
      ...(memory.hugepages && { hugepages: memory.hugepages }),
      mergeable: memory.mergeable,
    },
    boot: bootOf(definition),
    devices,
    ...(machine['hotplug-ports'] !== undefined && { rootPorts: { count: machine['hotplug-ports'] } }),
    deviceModules: definition.deviceModules,
    ...cpuOf(cpus),
    numa: definition.numa.map(({ cpus, memory, distances }) => ({ cpus, bytes: memory, distances })),
    hideHypervisor: cpus['hide-hypervisor'],
    ...(cpus.pinning && { pin: cpus.pinning }),
    onReboot: definition['on-reboot'],
    ...(definition.graphics && { vnc: vncOf(definition.graphics) }),
    ...(machine.clock !== undefined && { clock: machine.clock }),
    ...(machine.smbios && { smbios: machine.smbios }),
    ...sleepStatesOf(machine),
    confine: definition.confine,
  };
}

function sleepStatesOf({ suspend = true, hibernate = true }: Definition['machine']) {
  return suspend && hibernate ? {} : { sleepStates: { s3: suspend, s4: hibernate } };
}

/** Whether firmware boots the guest. */
export function hasFirmware({ kernel, firmware, 'firmware-file': file }: Definition['machine']): boolean {
  return kernel === undefined || firmware !== undefined || file !== undefined;
}

function bootOf(definition: Definition): MachineConfigInput['boot'] {
  const { machine } = definition;
  return hasFirmware(machine) ? firmwareBoot(definition) : kernelBoot(machine.kernel!, machine);
}

function vncOf(graphics: NonNullable<Definition['graphics']>): MachineConfigInput['vnc'] {
  const { listen, layout, 'password-file': passwordFile, 'tls-cert': tlsCert, 'tls-key': tlsKey } = graphics;
  return {
    listen,
    ...(passwordFile !== undefined && { passwordFile }),
    ...(tlsCert !== undefined && { tlsCert }),
    ...(tlsKey !== undefined && { tlsKey }),
    ...(layout !== undefined && { layout }),
    ...(graphics['view-only'] !== undefined && { viewOnly: graphics['view-only'] }),
  };
}

function kernelBoot(path: string, machine: Definition['machine']): MachineConfigInput['boot'] {
  const { initrd, modules, append = '' } = machine;
  return {
    kind: 'kernel',
    path,
    ...(initrd !== undefined && { initrd }),
    ...(modules && {
      modules: modules.map(({ file, 'command-line': commandLine = file }) => ({ path: file, commandLine })),
    }),
    append,
  };
}

function firmwareBoot({ machine, boot = {} }: Definition): MachineConfigInput['boot'] {
  const { firmware = 'bios', kernel, initrd, append } = machine;
  const { 'firmware-file': path, 'firmware-variables': variables, 'secure-boot': secureBoot } = machine;
  const { 'fw-cfg': settings = [] } = machine;
  const { order, once, menu, 'menu-wait': waitMs, 'retry-wait': retryMs, serial } = boot;
  return {
    kind: 'firmware',
    ...(firmware !== 'bios' && { firmware }),
    ...(path !== undefined && { path }),
    ...(secureBoot && { secureBoot }),
    ...(variables !== undefined && { variables: { file: variables } }),
    ...(kernel !== undefined && {
      kernel: {
        path: kernel,
        ...(initrd !== undefined && { initrd }),
        ...(append !== undefined && { append }),
      },
    }),
    ...(settings.length > 0 && {
      settings: settings.map(({ name, file, text }) => ({
        name,
        ...(file !== undefined && { path: file }),
        ...(text !== undefined && { text }),
      })),
    }),
    ...(order && { order }),
    ...(once && { once }),
    ...((menu !== undefined || waitMs !== undefined) && {
      menu: { show: menu ?? false, ...(waitMs !== undefined && { waitMs }) },
    }),
    ...(retryMs !== undefined && { retryMs }),
    ...(serial && { serialConsole: true }),
  };
}

/** The guest's CPU. */
function cpuOf({ model, features, enforce }: Definition['cpus']) {
  const withSign = (sign: string) =>
    features.filter(name => name.startsWith(sign)).map(name => name.slice(1));
  return {
    ...(model !== undefined && { cpuModel: model }),
    cpuFeatures: { add: withSign('+'), remove: withSign('-') },
    cpuEnforce: enforce,
  };
}

/** What a definition asks for: devices that this version supports, and what it lacks. */
export type AskedFor = {
  readonly devices: readonly DefinedDevice[];
  /** The host functions that it passes through, with the settings that only the host needs. */
  readonly hostDevices: readonly WantedHostDevice[];
  readonly nics: readonly VmNic[];
  readonly missing: readonly NotYet[];
};

export function askedFor(definition: Definition, table = deviceTable): AskedFor {
  const { devices, missing, implied } = fromTable(definition, table);
  return {
    devices: definedDevices(devices, table, implied),
    hostDevices: hostDevicesOf(definition, devices, table),
    nics: vmNics(devices, table),
    missing,
  };
}

function hostDevicesOf(
  definition: Definition,
  devices: readonly DeviceConfig[],
  table: DeviceTable,
): WantedHostDevice[] {
  const options = passedFunctions(definition.passthrough, hostFunctionsOfSlot).map(({ device }) => ({
    address: device.host,
    keep: device.keep === true,
    settings: vfSettings(device),
    unsafeNoIommu: device['unsafe-no-iommu'] === true,
  }));
  return wantedHostDevices(devices, options, table);
}

/** What a definition asks for that this version does not support. */
export function notYet(definition: Definition, table = deviceTable): NotYet[] {
  return [...fromTable(definition, table).missing];
}

/** The entry, if a device module may add its type. */
function ofModule({ devices, deviceModules }: Definition, entry: WantedEntry): DeviceConfig | undefined {
  return deviceModules.length > 0 ? devices.find(device => device === entry) : undefined;
}

/** The devices that the table supports, and those that it does not. */
function fromTable(
  definition: Definition,
  table: DeviceTable,
): { devices: DeviceConfig[]; missing: NotYet[]; implied: ReadonlySet<DeviceConfig> } {
  const devices: DeviceConfig[] = [];
  const missing: NotYet[] = [];
  const unlisted = new Set<DeviceConfig>();
  for (const { key, what, entry, implied } of wantedDevices(definition, table)) {
    const checked = checkDevice(entry, table);
    // The machine knows the types of its device modules.
    const module = ofModule(definition, entry);
    if ('device' in checked) {
      devices.push(checked.device);
      if (implied) unlisted.add(checked.device);
    } else if (checked.missing === 'type' && module !== undefined) devices.push(module);
    else if (checked.missing === 'type') missing.push({ key, what });
    else
      missing.push({ key: key.replace(/\.[a-z]+$/, ''), what: `${what} with ${andList(checked.options)}` });
  }
  return { devices, missing, implied: unlisted };
}
