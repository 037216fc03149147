import { kernelParameters, parameterOptions } from '../kernel-cmdline.ts';
import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import type { ModprobeConfig } from './modprobe.ts';

/** An entry of `vfio-pci.ids` or `options vfio-pci ids=`: hex numbers, those left out match anything. */
export type DeviceIds = { readonly text: string; readonly source: string; readonly driver: string };

/** Ids that vfio-pci or pci-stub will claim as soon as they are there, whatever the address. */
export function readConfiguredIds(root: HostRoot, modprobe: ModprobeConfig): DeviceIds[] {
  const parameters = kernelParameters(root);
  return ['vfio-pci', 'pci-stub'].flatMap(driver => {
    const module = driver.replaceAll('-', '_');
    const files = modprobe.options
      .filter(line => line.module === module)
      .flatMap(line =>
        parameterOptions(line.options.split(/\s+/), 'ids').map(text => ({ text, source: line.file, driver })),
      );
    const boot = parameterOptions(parameters, `${driver}.ids`).map(text => ({
      text,
      source: 'kernel command line',
      driver,
    }));
    return [...files, ...boot];
  });
}

/** `vendor:device[:subvendor[:subdevice[:class[:mask]]]]`, as the drivers parse it. */
export function matchesIds(fn: PciFunction, ids: string): boolean {
  const [vendor, device, subVendor, subDevice, code = 0, mask = 0] = ids
    .split(':')
    .map(part => Number.parseInt(part, 16));
  const equal = (wanted: number | undefined, value: string | null): boolean =>
    wanted === undefined || wanted === 0xffffffff || wanted === Number.parseInt(value ?? '0', 16);
  return (
    equal(vendor, fn.vendor) &&
    equal(device, fn.device) &&
    equal(subVendor, fn.subsystemVendor) &&
    equal(subDevice, fn.subsystemDevice) &&
    ((Number.parseInt(fn.class, 16) ^ code) & mask) === 0
  );
}
