import { capability } from '../pci/capabilities.ts';
import type { AcsCapability } from '../pci/capability-types.ts';
import type { PciFunction } from '../pci/function.ts';

/**
 * Whether a function keeps the devices beside and below it from reaching one another without the IOMMU, as the kernel
 * decides it for groups (pci_acs_enabled in drivers/pci/pci.c), but without its quirks for hardware that isolates
 * without reporting it.
 */
export type Isolation =
  | { readonly state: 'isolates' }
  /** A bus without requester ids: conventional PCI behind a bridge. */
  | { readonly state: 'shared-bus' }
  /** No ACS capability where one is needed. */
  | { readonly state: 'no-acs' }
  /** ACS is present, but these controls that grouping requires are off. */
  | { readonly state: 'acs-off'; readonly controls: readonly string[] }
  /** Config space beyond the header was not readable. */
  | { readonly state: 'unknown' };

const required = [
  ['sourceValidation', 'source validation'],
  ['requestRedirect', 'request redirect'],
  ['completionRedirect', 'completion redirect'],
  ['upstreamForwarding', 'upstream forwarding'],
] as const satisfies readonly (readonly [keyof AcsCapability, string])[];

export function isolationOf(fn: PciFunction): Isolation {
  if (fn.configAccess !== 'full') return { state: 'unknown' };
  const pcie = capability(fn.capabilities, 'pcie');
  if (pcie === null) return { state: 'shared-bus' };
  switch (pcie.type) {
    case 'PCIe-to-PCI bridge':
    case 'PCI-to-PCIe bridge':
    case 'root-complex event collector':
      return { state: 'shared-bus' };
    case 'root port':
    case 'downstream port':
      return acsState(fn);
    default:
      // The functions of one device can reach each other; a single function has none to reach.
      return fn.multifunction ? acsState(fn) : { state: 'isolates' };
  }
}

function acsState(fn: PciFunction): Isolation {
  const acs = capability(fn.capabilities, 'acs');
  if (acs === null) return { state: 'no-acs' };
  // A control that the hardware lacks counts as always on.
  const off = required.filter(([control]) => acs[control] === 'off').map(([, name]) => name);
  return off.length === 0 ? { state: 'isolates' } : { state: 'acs-off', controls: off };
}
