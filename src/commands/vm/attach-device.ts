import type { BusKind } from '../../devices/device-type.ts';
import { deviceTable } from '../../devices/registry.ts';
import type { Engine } from '../../engine/engine.ts';
import type { AttachedDevice } from '../../engine/hotplug/hotplug-info.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { print } from '../host/host-options.ts';
import { WAIT_SECONDS } from './detach-wait.ts';
import { type DeviceOptions, deviceOf } from './device-option.ts';
import { findVm } from './find.ts';
import { Progress } from './progress.ts';
import { until } from './until.ts';

type Json = { readonly json?: boolean };

export type AttachOptions = DeviceOptions & Json & { readonly persist?: boolean };

export type DetachOptions = Json & {
  readonly force?: boolean;
  /** Seconds. */
  readonly wait: number;
  readonly cancel?: boolean;
  readonly persist?: boolean;
};

type Devices = Pick<Engine, 'vms' | 'subscribe' | 'attach' | 'detach' | 'cancelDetach'>;

export async function attachDevice(engine: Devices, name: string, options: AttachOptions): Promise<void> {
  const vm = findVm(engine.vms(), name);
  const device = deviceOf(options, bus => kindOfBus(vm, bus));
  const attached = await engine.attach(vm.id, device, { persist: options.persist ?? false });
  print(options, { vm: name, ...attached }, () => {
    if (!attached.running) return [inDefinition(vm, attached.name)];
    const seen = attached.address === null ? '' : `, as ${attached.address}`;
    const place = `${name}: ${attached.name} is attached at ${attached.addr} of ${attached.bus}${seen}`;
    return attached.noticed ? [place] : [place, unnoticed(attached)];
  });
}

function kindOfBus({ topology }: VmInfo, bus: string): BusKind | undefined {
  const provider = topology?.devices.find(({ name }) => name === bus);
  return provider && deviceTable.find(provider.type)?.provides?.kind;
}

function inDefinition({ name, state, saved }: VmInfo, device: string): string {
  // It resumes with the devices that it had.
  if (saved !== undefined)
    return `${name} is saved, and resumes without ${device}: ${device} is in its definition, for its next boot`;
  return `${name} is ${state}: ${device} is in its definition, for its next start`;
}

function unnoticed({ addr }: AttachedDevice): string {
  // A PCI address has a function: `05.1`.
  return addr !== null && /\.[1-7]$/.test(addr)
    ? 'The guest scans the slot once its function 0 is attached.'
    : 'The guest has no hotplug driver there: it finds the device on its next scan.';
}

/** @returns the exit status: 1 while the guest has not released the device */
export async function detachDevice(
  engine: Devices,
  name: string,
  device: string,
  options: DetachOptions,
): Promise<number> {
  const vm = findVm(engine.vms(), name);
  if (options.cancel) {
    await engine.cancelDetach(vm.id, device);
    print(options, { vm: name, device, detached: false }, () => [`${name}: ${device} stays`]);
    return 0;
  }
  const { force = false, persist = false, wait } = options;
  const detached = engine.detach(vm.id, device, { force, persist });
  // A forced removal does not wait for the guest.
  const isOut =
    wait === 0 && !force
      ? await asked(engine, vm, device, detached)
      : await within(detached, wait || WAIT_SECONDS, `waiting for ${name} to release ${device}`);
  print(options, { vm: name, device, detached: isOut }, () => [outcome(vm, device, isOut, options)]);
  return isOut || (wait === 0 && !force) ? 0 : 1;
}

function outcome(vm: VmInfo, device: string, isOut: boolean, { wait, force }: DetachOptions): string {
  const { name } = vm;
  if (isOut && !isAlive(vm)) return `${name} is ${vm.state}: ${device} is no longer in its definition`;
  if (isOut) return `${name}: ${device} is detached`;
  if (force)
    return `${name}: ${device} is out of the guest, but the host has not finished its requests: what it uses is released when it has`;
  if (wait === 0) return `${name}: the guest was asked to release ${device}`;
  return (
    `${name}: the guest has not released ${device} in ${wait} s, and may still do so: ` +
    `vring vm detach ${name} ${device} waits longer, removes it with --force, or keeps it with --cancel`
  );
}

/**
 * Waits only until the guest has been asked. @returns whether the device is out already. @throws why it cannot be asked
 */
async function asked(engine: Devices, vm: VmInfo, device: string, detached: Promise<void>): Promise<boolean> {
  const label = ({ topology }: VmInfo) => topology?.devices.find(({ name }) => name === device);
  const wasThere = label(vm) !== undefined;
  const isLeaving = (now: VmInfo | undefined) => {
    const present = now && label(now);
    return wasThere && (present === undefined || present.removing !== undefined);
  };
  const out = detached.then(() => true);
  const leaving = until(engine, vm.name, isLeaving, Number.POSITIVE_INFINITY).then(() => false);
  return Promise.race([out, leaving]);
}

/** Whether something resolves within a number of seconds. */
async function within(promise: Promise<void>, seconds: number, what: string): Promise<boolean> {
  const progress = new Progress(() => what);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>(resolve => {
    timer = setTimeout(() => resolve(false), seconds * 1000);
  });
  // It may fail later, when the connection is closed.
  promise.catch(() => {});
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    progress.end();
  }
}
