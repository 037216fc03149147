import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { readModule } from '../vfio/modules.ts';
import { isVfioDriver } from '../vfio/read.ts';
import type { Check, Condition, Step } from './plan.ts';

/** Modules that the driver needs to expose a device to user space, in load order. */
export function modulesFor(driver: string): string[] {
  const own = driver.replaceAll('-', '_');
  // The kernel loads the IOMMU backend by a soft dependency at best; opening a group without it fails with ENODEV.
  return isVfioDriver(driver) ? ['vfio_iommu_type1', own] : [own];
}

/** A step for each missing module. */
export function moduleSteps(root: HostRoot, driver: string): Step[] {
  return modulesFor(driver)
    .filter(module => readModule(root, module).state === 'available')
    .map(module => loadModule(module, driver));
}

function loadModule(module: string, driver: string): Step {
  const own = module === driver.replaceAll('-', '_');
  return {
    action: { kind: 'run', argv: ['modprobe', module], seconds: 60 },
    expect: [{ kind: 'module', module, loaded: true }],
    within: 2,
    reason: own
      ? `${driver} is not loaded`
      : `${module} is not loaded; without it no VM can open a VFIO group`,
    risk: null,
    undo: {
      changes: [
        {
          action: { kind: 'run', argv: ['modprobe', '-r', module], seconds: 60 },
          expect: [{ kind: 'module', module, loaded: false }],
          within: 2,
          when: unloadable(module, driver),
        },
      ],
      last: false,
    },
  };
}

/** The kernel allows unloading a driver with devices bound to it, which would leave them without a driver. */
function unloadable(module: string, driver: string): Condition[] {
  return [
    { kind: 'module-idle', module: driver.replaceAll('-', '_') },
    { kind: 'attribute', path: `/sys/module/${module}/refcnt`, value: '0' },
  ];
}

/** Whether this kernel has the driver. */
export function driverCheck(root: HostRoot, fn: PciFunction, driver: string): Check {
  const isAbsent = (module: string) => readModule(root, module).state === 'absent';
  // iommufd replaces it.
  const isReplaced = (module: string) => module === 'vfio_iommu_type1' && !isAbsent('iommufd');
  const absent = modulesFor(driver).filter(module => isAbsent(module) && !isReplaced(module));
  if (absent.length > 0) {
    return {
      level: 'block',
      code: 'driver',
      subject: fn.address,
      reason: `this kernel has no module ${absent.join(', ')}: install the kernel's full module package`,
      forceable: false,
    };
  }
  const [variant] = fn.vfioModules;
  if (driver === 'vfio-pci' && variant !== undefined) {
    return {
      level: 'warn',
      code: 'driver',
      subject: fn.address,
      reason: `${variant} is the VFIO variant driver for this device (--driver ${variant}); vfio-pci works too, but lacks its extra features, such as migration`,
      forceable: true,
    };
  }
  return {
    level: 'ok',
    code: 'driver',
    subject: fn.address,
    reason: `this kernel has ${driver}`,
    forceable: true,
  };
}
