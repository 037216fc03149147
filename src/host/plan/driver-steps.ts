import type { PciFunction } from '../pci/function.ts';
import { isParkingDriver, isVfioDriver } from '../vfio/read.ts';
import { type Change, type Step, undoBy } from './plan.ts';
import { sysfsPath } from './survey.ts';

const drivers = '/sys/bus/pci/drivers';
const probe = '/sys/bus/pci/drivers_probe';
/** NVMe and network drivers wait for their hardware when they let go. */
const bindSeconds = 15;

/**
 * From the driver a function has to the one named, by driver_override and drivers_probe: new_id would take every
 * device with the same ids. The override comes after the old driver has let go, so that undone in reverse it is gone
 * before that one is asked back.
 * @param risk what stops when the old driver lets go; null for nothing
 */
export function driverSteps(fn: PciFunction, driver: string, risk: string | null): Step[] {
  return [
    ...releaseSteps(fn, risk),
    overrideStep(fn, driver, `only ${driver} may take it`),
    probeStep(fn, driver, `${driver} takes it`),
  ];
}

/** The present driver lets go; none for a function without one. */
export function releaseSteps(fn: PciFunction, risk: string | null): Step[] {
  if (fn.driver === null) return [];
  return [
    {
      action: { kind: 'write', path: `${drivers}/${fn.driver}/unbind`, value: fn.address },
      expect: [{ kind: 'driver', device: sysfsPath(fn), driver: null }],
      within: bindSeconds,
      reason: `${fn.driver} lets go of ${fn.address}`,
      risk,
      undo: undoBy({
        action: { kind: 'write', path: `${drivers}/${fn.driver}/bind`, value: fn.address },
        expect: [{ kind: 'driver', device: sysfsPath(fn), driver: fn.driver }],
        within: bindSeconds,
      }),
    },
  ];
}

/** @param driver '' takes the override away. */
export function overrideStep(fn: PciFunction, driver: string, reason: string): Step {
  const before = fn.driverOverride ?? '';
  const path = `${sysfsPath(fn)}/driver_override`;
  return {
    action: { kind: 'write', path, value: overrideText(driver) },
    expect: [{ kind: 'attribute', path, value: driver }],
    within: 0,
    reason,
    risk: null,
    undo: undoBy({
      action: { kind: 'write', path, value: overrideText(before) },
      expect: [{ kind: 'attribute', path, value: before }],
      within: 0,
    }),
  };
}

/**
 * A write to drivers_probe succeeds also when no driver took the function: the link is what counts.
 * @param driver null: whichever of the host's drivers takes it
 */
export function probeStep(fn: PciFunction, driver: string | null, reason: string): Step {
  const node = isVfioDriver(driver)
    ? [{ kind: 'vfio-node', device: sysfsPath(fn), exists: true } as const]
    : [];
  return {
    action: { kind: 'write', path: probe, value: fn.address },
    expect: [
      driver === null
        ? { kind: 'host-driver', device: sysfsPath(fn), bound: true }
        : { kind: 'driver', device: sysfsPath(fn), driver },
      ...node,
    ],
    within: bindSeconds,
    reason,
    risk: null,
    undo: undoBy({
      action: { kind: 'write', path: `${sysfsPath(fn)}/driver/unbind`, value: fn.address },
      expect: [{ kind: 'driver', device: sysfsPath(fn), driver: null }],
      within: bindSeconds,
    }),
  };
}

/**
 * Brings a function that the kernel has made anew, and may have given to the host's driver, back to the driver and
 * override it had.
 */
export function restoreDriver(fn: PciFunction): Change[] {
  const changes: Change[] = [];
  if (fn.driverOverride !== null) {
    const { action, expect, within } = overrideStep({ ...fn, driverOverride: null }, fn.driverOverride, '');
    changes.push({ action, expect, within });
  }
  if (fn.driver === null || isParkingDriver(fn.driver)) {
    changes.push({
      action: { kind: 'write', path: `${sysfsPath(fn)}/driver/unbind`, value: fn.address },
      expect: [{ kind: 'host-driver', device: sysfsPath(fn), bound: false }],
      within: bindSeconds,
    });
  }
  if (fn.driver !== null) {
    changes.push({
      action: { kind: 'write', path: `${drivers}/${fn.driver}/bind`, value: fn.address },
      expect: [{ kind: 'driver', device: sysfsPath(fn), driver: fn.driver }],
      within: bindSeconds,
    });
  }
  return changes;
}

/** An empty line takes an override away: a write of no bytes at all changes nothing. */
function overrideText(driver: string): string {
  return driver === '' ? '\n' : driver;
}
