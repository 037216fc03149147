import { kernelParameters, parameterOptions, parameterValues } from '../kernel-cmdline.ts';
import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { configText, fileLines } from './config-files.ts';
import { initramfsModules } from './early-modules.ts';
import { commandLineSource, type ModprobeConfig, moduleName } from './modprobe.ts';

/** An entry of `vfio-pci.ids` or `options vfio-pci ids=`: hex numbers; omitted ones match anything. */
export type DeviceIds = {
  readonly text: string;
  readonly source: string;
  readonly driver: string;
  /** The source whose later `ids=` replaces this one; null if this one takes effect. */
  readonly replacedBy: string | null;
};

/** Ids that vfio-pci or pci-stub claims when it loads, at any address. */
export function readConfiguredIds(root: HostRoot, modprobe: ModprobeConfig): DeviceIds[] {
  const parameters = kernelParameters(root);
  return ['vfio-pci', 'pci-stub'].flatMap(driver => {
    const files = modprobe.options
      .filter(line => line.module === moduleName(driver))
      .flatMap(line =>
        parameterValues(line.options.replaceAll('"', '').split(/\s+/), 'ids').map(ids => [line.file, ids]),
      );
    // The command line comes after all files, module arguments after both, and each `ids=` replaces the previous one.
    const boot = parameterValues(parameters, `${driver}.ids`).map(ids => [commandLineSource, ids]);
    const early = initramfsOptions(root, driver).map(ids => [initramfsModules, ids]);
    const all = [...files, ...boot, ...early] as [source: string, ids: string][];
    const last = all.at(-1)?.[0];
    return all.flatMap(([source, ids], index) =>
      parameterOptions([`ids=${ids}`], 'ids').map(text => ({
        text,
        source,
        driver,
        replacedBy: index === all.length - 1 ? null : last!,
      })),
    );
  });
}

/** `vfio-pci ids=...`: initramfs-tools accepts arguments after a module. */
function initramfsOptions(root: HostRoot, driver: string): string[] {
  return fileLines(initramfsModules, configText(root, initramfsModules) ?? '').flatMap(({ text }) => {
    const [name, ...options] = text.split(/\s+/);
    return moduleName(name!) === moduleName(driver) ? parameterValues(options, 'ids') : [];
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
