import { classTraits } from '../pci/class.ts';
import type { PciFunction } from '../pci/function.ts';
import type { PassthroughRequest, Reason } from './assessment.ts';
import { ok, warn } from './reason.ts';

const INTEL = '8086';
const NVIDIA = '10de';
const AMD = '1002';

/** The address of the graphics in all Intel processors. */
const PROCESSOR_GRAPHICS = '0000:00:02.0';

/** VGA controllers: cards with connectors, which are also sold for desktops. */
const VGA = '0300';

/** What a graphics card's drivers require of a VM. */
export function graphicsReasons(fn: PciFunction, { vm }: PassthroughRequest): Reason[] {
  if (!classTraits(fn.class).display) return [];
  if (isProcessorGraphics(fn)) return [processorGraphics(fn)];
  if (fn.vendor === NVIDIA && fn.class.startsWith(VGA)) return [hiddenHypervisor(fn, vm?.hideHypervisor)];
  return [];
}

/** Code 43: drivers of GeForce cards looked for the signatures of hypervisors in CPUID until version 465. */
function hiddenHypervisor(fn: PciFunction, isHidden = false): Reason {
  const who = 'NVIDIA drivers before 465 for GeForce cards';
  if (isHidden) return ok('graphics', fn.address, `the VM hides that it is one, as ${who} need it`);
  return {
    ...ok('graphics', fn.address, `${who} fail in a VM that does not hide that it is one (code 43)`),
    repair: ['for such a driver, in the definition: cpus: {hide-hypervisor: true}'],
  };
}

function isProcessorGraphics({ vendor, address }: PciFunction): boolean {
  return vendor === INTEL && address === PROCESSOR_GRAPHICS;
}

/**
 * Generations before Broadwell, by their device IDs (Linux, include/drm/intel/pciids.h); 0a84 and 0a85 are of Broxton.
 * Their drivers need the memory that the firmware has reserved, at the same address.
 */
const BEFORE_BROADWELL = /^0(?!a8[45])/;

function processorGraphics(fn: PciFunction): Reason {
  const lacks =
    "it is the processor's own: the guest gets neither its OpRegion nor the memory that the firmware has set aside";
  const reason = BEFORE_BROADWELL.test(fn.device)
    ? `${lacks}, without which drivers for generations before Broadwell do not start`
    : `${lacks}, so its connectors stay dark; it renders and encodes`;
  return warn('graphics', fn.address, reason, 'pass a graphics card of its own');
}

/**
 * Cards that do not recover from the resets that the kernel knows: the next guest finds them hung until the host
 * reboots. The vendor-reset module (github.com/gnif/vendor-reset, src/device-db.h) can reset them.
 */
const HANGING: readonly { readonly family: string; readonly devices: RegExp }[] = [
  { family: 'Polaris', devices: /^(67[c-f][0-9a-f]|6fdf|69(8[0-7]|9[57f]))$/ },
  { family: 'Vega', devices: /^(686[0-9a-f]|687f|66a[0-47f])$/ },
  { family: 'Navi 1x', devices: /^(731[0-9a-f]|734[0-9a-f]|736[02])$/ },
];

/** The family of a card that hangs when it is reset; null for all others. */
export function hangsInReset({ vendor, device }: PciFunction): string | null {
  if (vendor !== AMD) return null;
  return HANGING.find(({ devices }) => devices.test(device))?.family ?? null;
}
