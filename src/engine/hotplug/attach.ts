import { closeSync } from 'node:fs';
import { anyDeviceConfig, unknownType } from '../../devices/device-config.ts';
import { isHotpluggable } from '../../devices/device-type.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { wireFacts, wireFds } from '../../vmm/backends/net/wire.ts';
import { MAX_DEVICES, type MachineConfig } from '../../vmm/machine/config.ts';
import type { PluggedIn } from '../../vmm/machine/messages.ts';
import { openSmallFile } from '../../vmm/machine/small-file.ts';
import { allowLocking } from '../host-devices/memlock.ts';
import { closeWires, hostDevicesOf, type OpenedHostDevice, type OpenedWire } from '../machines/machine.ts';
import { parsePluggedIn } from '../machines/machine-messages.ts';
import type { KnownNetworks } from '../networks/open-wire.ts';
import { openWires } from '../networks/open-wires.ts';
import type { Vm } from '../vm.ts';
import { isUp } from '../vm-info.ts';
import type { AttachedDevice } from './hotplug-info.ts';
import { openDiskFor } from './open-disk.ts';

/** Validates a device entry from the user. @throws an error for the user */
export function checkedDevice(input: unknown): DeviceConfig {
  const parsed = anyDeviceConfig.safeParse(input);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new Error(path.length === 0 ? message : `${path.join('.')}: ${message}`);
}

/**
 * A device's host resources: its open files, and what to do with them once it is known whether the device is attached.
 */
export type TakenOfHost = {
  readonly opened: readonly OpenedHostDevice[];
  settled(isAttached: boolean): Promise<void>;
};
/** @param device with its name */
export type TakeOfHost = (device: DeviceConfig) => Promise<TakenOfHost>;

/**
 * Plugs a device into a running VM.
 * @param take takes its host resources. @throws an error for the user, leaving nothing attached
 */
export async function attachDevice(
  vm: Vm,
  device: DeviceConfig,
  take: TakeOfHost,
  networks: KnownNetworks = null,
): Promise<AttachedDevice> {
  const { config, info } = vm;
  if (!isUp(info)) throw new Error(`${vm.name} is ${info.state}: wait until it runs`);
  if (info.topology?.places === undefined)
    throw new Error(
      `${vm.name} was started by a version of vring without hot plug: upgrade it first, with vring vm upgrade ${vm.name}`,
    );
  checkType(device, config!);
  if (info.topology.places.devices.length >= MAX_DEVICES)
    throw new Error(`${vm.name} has ${MAX_DEVICES} devices already, the most that a VM can have`);
  const row = deviceTable.find(device.type);
  if (row?.single && info.topology.devices.some(({ type }) => type === device.type))
    throw new Error(`${vm.name} has a ${row.title} already, and a VM has at most one`);
  if (device.name !== undefined && namesIn(vm).has(device.name))
    throw new Error(`${vm.name} has a device named "${device.name}" already: choose another name`);
  // The name is taken from here on.
  const name = device.name ?? deviceTable.freeName(device.type, namesIn(vm));
  const plugged = await vm.devices!.plug(name, device, () =>
    openAndPlug(vm, { ...device, name }, name, take, networks),
  );
  const label = vm.info.topology?.devices.find(other => other.name === name);
  return { name, running: true, ...plugged, address: label?.address ?? null };
}

async function openAndPlug(
  vm: Vm,
  config: DeviceConfig,
  name: string,
  take: TakeOfHost,
  networks: KnownNetworks,
): Promise<PluggedIn> {
  const options = deviceTable.disk(config);
  const disk = options === null ? null : await openDiskFor(options);
  let wires: readonly OpenedWire[] = [];
  let rom: number | null = null;
  let taken: TakenOfHost | null = null;
  let isAttached = false;
  try {
    wires = await openWires(vm.name, [{ ...config, name }], networks, vm.config?.confine ?? 'default');
    const romFile = deviceTable.romFile(config);
    if (romFile !== null) rom = openSmallFile(romFile);
    taken = await take(config);
    const { message, fds } = hostDevicesOf(taken.opened);
    const { pid, memoryBytes } = vm.info;
    if (fds.length > 0 && pid !== null) allowLocking(pid, memoryBytes);
    const [opened] = wires;
    const given = {
      ...{ config, name, ...message },
      ...(disk && { disk: disk.facts }),
      ...(opened && { wire: wireFacts(opened.wire) }),
      ...(romFile !== null && { rom: romFile }),
    };
    const ofNetwork = opened ? wireFds(opened.wire) : [];
    const allFds = [...fds, ...(disk?.fds ?? []), ...ofNetwork, ...(rom === null ? [] : [rom])];
    const answer = await vm.commandWithFds('plug', given, allFds);
    const plugged = parsePluggedIn(answer);
    isAttached = true;
    return plugged;
  } finally {
    for (const fd of disk?.fds ?? []) closeSync(fd);
    closeWires(wires);
    if (rom !== null) closeSync(rom);
    await taken?.settled(isAttached);
  }
}

/** @throws an error for the user when the type cannot be hot plugged */
function checkType(device: DeviceConfig, { deviceModules }: MachineConfig): void {
  const unknown = unknownType({ devices: [device], deviceModules });
  if (unknown !== null) throw new Error(`type: ${unknown.message}`);
  const row = deviceTable.find(device.type);
  if (row !== undefined && !isHotpluggable(row))
    throw new Error(
      `${device.type} cannot be plugged in while the VM runs: shut it down, add the device, and start it again`,
    );
}

/** Of its devices, including those being plugged in. */
function namesIn(vm: Vm): Set<string> {
  return new Set([
    ...(vm.info.topology?.devices.map(({ name }) => name) ?? []),
    ...(vm.devices?.pluggingIn ?? []),
  ]);
}
