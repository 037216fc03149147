import type { PciFunction } from '../pci/function.ts';
import { isParkingDriver, isVfioDriver } from '../vfio/read.ts';
import { type Change, type Step, undoBy } from './plan.ts';
import { sysfsPath } from './survey.ts';

const drivers = '/sys/bus/pci/drivers';
const probe = '/sys/bus/pci/drivers_probe';
/** NVMe and network drivers wait for their hardware when they unbind. */
const bindSeconds = 15;

/**
 * Moves a function to the named driver with driver_override and drivers_probe: new_id would match every device with the
 * same IDs. The override is set after the old driver unbinds, so that undo in reverse order removes it before the old
 * driver binds again.
 * @param risk what stops when the old driver unbinds; null for nothing
 */
export function driverSteps(fn: PciFunction, driver: string, risk: string | null): Step[] {
  return [
    ...releaseSteps(fn, risk),
    overrideStep(fn, driver, `only ${driver} may bind to it`),
    probeStep(fn, driver, `bind it to ${driver}`),
  ];
}

/** Unbinds the current driver; no step for a function without one. */
export function releaseSteps(fn: PciFunction, risk: string | null): Step[] {
  if (fn.driver === null) return [];
  return [
    {
      action: { kind: 'write', path: `${drivers}/${fn.driver}/unbind`, value: fn.address },
      expect: [{ kind: 'driver', device: sysfsPath(fn), driver: null }],
      within: bindSeconds,
      reason: `unbind ${fn.driver} from ${fn.address}`,
      risk,
      undo: undoBy({
        action: { kind: 'write', path: `${drivers}/${fn.driver}/bind`, value: fn.address },
        expect: [{ kind: 'driver', device: sysfsPath(fn), driver: fn.driver }],
        within: bindSeconds,
      }),
    },
  ];
}

/** @param driver '' clears the override. */
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
 * A write to drivers_probe succeeds even if no driver binds, so the driver link is checked.
 * @param driver null for any host driver
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
 * Restores the driver and override of a function that the kernel has created again and may have bound to a host driver.
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

/** An empty line clears an override: a write of zero bytes does nothing. */
function overrideText(driver: string): string {
  return driver === '' ? '\n' : driver;
}
