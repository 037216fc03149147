import type { HostRoot } from '../root.ts';
import { printable } from '../text.ts';
import { capability } from './capabilities.ts';
import type { PciFunction } from './function.ts';
import { type PciInterrupt, readInterrupts } from './interrupts.ts';

/** Details that are read only for the function being shown. */
export type PciDetails = {
  /** Speeds in GT/s per lane; null if there is no link, or it is not known. */
  readonly link: {
    readonly speed: number | null;
    readonly width: number | null;
    readonly maxSpeed: number | null;
    readonly maxWidth: number | null;
    /** Whether it runs below the function's capability. */
    readonly degraded: boolean;
  } | null;
  /** `D0`, `D3hot`, `D3cold`...; null if the kernel does not report it. */
  readonly powerState: string | null;
  /** Runtime power management: `active`, `suspended`, `unsupported`... */
  readonly runtimeStatus: string | null;
  /**
   * How the kernel can reset the function, first choice first: `flr`, `af_flr`, `pm`, `bus`, `device_specific`... Empty
   * if it cannot. Null if not reported (before Linux 5.15): it can if `resettable`.
   */
  readonly resetMethods: readonly string[] | null;
  readonly resettable: boolean;
  readonly interrupts: readonly PciInterrupt[];
  /** CPUs near the function: `0-15,32-47`. */
  readonly localCpus: string | null;
  /** The Device Serial Number capability, or null. */
  readonly serial: string | null;
  /** Size in bytes of an expansion ROM that the kernel offers for reading, or null. */
  readonly romSize: number | null;
};

export function readDetails(root: HostRoot, fn: PciFunction): PciDetails {
  const read = (name: string): string | null => root.attribute(`${fn.path}/${name}`);
  const methods = read('reset_method');
  const rom = fn.regions.find(region => region.name === 'rom');
  return {
    link: readLink(read, fn),
    powerState: read('power_state'),
    runtimeStatus: read('power/runtime_status'),
    resetMethods: methods === null ? null : methods.split(/\s+/).filter(Boolean),
    resettable: root.exists(`${fn.path}/reset`),
    interrupts: readInterrupts(root, fn.path),
    localCpus: read('local_cpulist'),
    serial: deviceSerial(fn),
    romSize: rom && root.exists(`${fn.path}/rom`) ? rom.size : null,
  };
}

/** The serial number, which distinguishes identical cards; VFs have none of their own. */
export function deviceSerial(fn: PciFunction): string | null {
  const serial = capability(fn.capabilities, 'serial')?.serial ?? null;
  // A card without a serial number reports all zeros or all ones.
  return serial !== null && /[1-9a-e]/.test(serial) ? printable(serial) : null;
}

function readLink(read: (name: string) => string | null, fn: PciFunction): PciDetails['link'] {
  const decoded = capability(fn.capabilities, 'pcie')?.link;
  const link = decoded
    ? {
        speed: decoded.now.speed,
        width: decoded.now.width,
        maxSpeed: decoded.max.speed,
        maxWidth: decoded.max.width,
      }
    : {
        speed: transferRate(read('current_link_speed')),
        width: laneCount(read('current_link_width')),
        maxSpeed: transferRate(read('max_link_speed')),
        maxWidth: laneCount(read('max_link_width')),
      };
  if (link.maxSpeed === null && link.maxWidth === null) return null;
  const below = (now: number | null, max: number | null): boolean =>
    now !== null && max !== null && now < max;
  return {
    ...link,
    degraded: below(link.speed, link.maxSpeed) || below(link.width, link.maxWidth),
  };
}

/** `8.0 GT/s PCIe` as 8. */
function transferRate(text: string | null): number | null {
  const match = /^([\d.]+) GT\/s/.exec(text ?? '');
  return match ? Number(match[1]) : null;
}

/** A link width; 0 means no link, 255 unknown. */
function laneCount(text: string | null): number | null {
  const lanes = Number(text ?? 0);
  return lanes > 0 && lanes < 255 ? lanes : null;
}
