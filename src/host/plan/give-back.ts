import type { HostRoot } from '../root.ts';
import type { PhysicalFunction } from '../sriov/read.ts';
import { keyValues } from '../text.ts';
import { isMoved, type TakenDevice } from '../vfio/taken.ts';
import type { Change, Step, UndoChange, VfAttributeName, VfSettings } from './plan.ts';
import { sysfsPath } from './survey.ts';
import { settingSteps } from './vf-attributes.ts';
import { moduleSteps } from './vfio-driver.ts';

const probe = '/sys/bus/pci/drivers_probe';
/** NVMe and network drivers wait for their hardware. */
const bindSeconds = 15;

/**
 * - `here`: at its address
 * - `gone`: its address is empty, or has another device
 * - `rebound`: another program has bound another driver to it since
 */
export type Whereabouts = 'here' | 'gone' | 'rebound';

/** The state of a device that was taken. */
export function whereabouts(root: HostRoot, { address, id, driver, before }: TakenDevice): Whereabouts {
  const path = sysfsPath({ address });
  const ids = keyValues(root.text(`${path}/uevent`) ?? '').get('PCI_ID');
  if (ids?.toLowerCase() !== id) return 'gone';
  const now = root.linkName(`${path}/driver`);
  return now === null || now === driver || now === before.driver ? 'here' : 'rebound';
}

/**
 * The changes that restore a taken device, from any intermediate state: vring may have died at any point. No process
 * may have the device open.
 * @param physicalFunction of a VF whose settings were changed; undefined if it is gone, and the VF's settings with it
 */
export function giveBackChanges(
  root: HostRoot,
  taken: TakenDevice,
  physicalFunction: PhysicalFunction | undefined,
): UndoChange[] {
  const settings = settingChanges(taken, physicalFunction);
  const changes = isMoved(taken) ? driverChanges(root, taken, settings) : settings;
  return changes.map(change => ({ when: [], ...change }));
}

/** Settings come before the driver, which reads them when it binds. */
function driverChanges(root: HostRoot, taken: TakenDevice, settings: readonly Change[]): Change[] {
  const { address, driver, before } = taken;
  const path = sysfsPath({ address });
  const now = root.linkName(`${path}/driver`);
  const override = root.attribute(`${path}/driver_override`) ?? '';
  // An override set by another program stays.
  const ours = override === driver || override === before.driver;
  const restore = ours ? [setOverride(path, before.override)] : [];
  const isBack = now === before.driver;
  const release = now === driver ? [unbind(path, address)] : [];
  if (isBack || whereabouts(root, taken) === 'rebound') return [...settings, ...restore];
  if (before.driver === null) return [...release, ...settings, ...restore];
  return [
    ...moduleSteps(root, before.driver).map(changeOf),
    ...release,
    ...settings,
    // By name: the kernel may prefer vfio-pci because of its configured IDs, or not probe VFs.
    setOverride(path, before.driver),
    bind(path, address, before.driver),
    setOverride(path, before.override),
  ];
}

function unbind(path: string, address: string): Change {
  return {
    action: { kind: 'write', path: `${path}/driver/unbind`, value: address },
    expect: [{ kind: 'driver', device: path, driver: null }],
    within: bindSeconds,
  };
}

function bind(path: string, address: string, driver: string): Change {
  return {
    action: { kind: 'write', path: probe, value: address },
    expect: [{ kind: 'driver', device: path, driver }],
    within: bindSeconds,
  };
}

function setOverride(path: string, driver: string): Change {
  const attribute = `${path}/driver_override`;
  return {
    // A write of zero bytes does nothing.
    action: { kind: 'write', path: attribute, value: driver === '' ? '\n' : driver },
    expect: [{ kind: 'attribute', path: attribute, value: driver }],
    within: 0,
  };
}

/** Only settings that still have the values that vring set. */
function settingChanges({ vf }: TakenDevice, physicalFunction: PhysicalFunction | undefined): Change[] {
  const manager = physicalFunction?.manager ?? null;
  const now = vf === null ? null : (physicalFunction?.vfs[vf.index]?.attributes ?? null);
  if (vf === null || manager === null || now === null) return [];
  const names = Object.keys(vf.before) as (VfAttributeName & keyof TakenSettings)[];
  const settings = Object.fromEntries(
    names.filter(name => now[name] === vf.set[name]).map(name => [name, vf.before[name]]),
  ) as VfSettings;
  return settingSteps(manager, vf.index, now, settings).map(changeOf);
}

function changeOf({ action, expect, within }: Step): Change {
  return { action, expect, within };
}

type TakenSettings = NonNullable<TakenDevice['vf']>['before'];
