import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { natural, printable } from '../text.ts';
import { pciOwner } from './network.ts';

/** The displays and consoles on a function. */
export type DisplayUse = {
  /** DRM cards (`card0`) and their connectors with a monitor. */
  readonly cards: readonly { readonly name: string; readonly connected: readonly string[] }[];
  /** Shows the text console. */
  readonly console: boolean;
  /** Serial ports with a kernel console. */
  readonly serialConsoles: readonly string[];
};

/** By PCI address; functions without a card or a console have no entry. */
export function readDisplays(root: HostRoot, functions: readonly PciFunction[]): Map<string, DisplayUse> {
  const cards = drmCards(root);
  const consoleOwner = textConsoleOwner(root, functions);
  const serial = serialConsoles(root);
  const result = new Map<string, DisplayUse>();
  for (const { address } of functions) {
    const use: DisplayUse = {
      cards: (cards.get(address) ?? []).map(({ name, connected }) => ({ name, connected })),
      console: consoleOwner === address,
      serialConsoles: (serial.get(address) ?? []).map(({ name }) => name),
    };
    if (use.cards.length > 0 || use.console || use.serialConsoles.length > 0) result.set(address, use);
  }
  return result;
}

type Card = { readonly owner: string; readonly name: string; readonly connected: readonly string[] };

function drmCards(root: HostRoot): Map<string, Card[]> {
  const names = (root.list('/sys/class/drm') ?? []).sort(natural);
  const cards = names
    .filter(name => /^card\d+$/.test(name))
    .map(name => ({
      owner: pciOwner(root.real(`/sys/class/drm/${name}`) ?? '') ?? '',
      name,
      connected: names
        .filter(other => other.startsWith(`${name}-`))
        .filter(other => root.attribute(`/sys/class/drm/${other}/status`) === 'connected')
        .map(other => printable(other.slice(name.length + 1))),
    }));
  return Map.groupBy(cards, card => card.owner);
}

/**
 * The function whose frame buffer shows the kernel console. In sysfs, the firmware's frame buffer (efifb, simpledrm)
 * belongs to no function: it is that of the boot VGA adapter.
 */
function textConsoleOwner(root: HostRoot, functions: readonly PciFunction[]): string | null {
  const onFrameBuffer = (root.list('/sys/class/vtconsole') ?? []).some(
    name =>
      root.attribute(`/sys/class/vtconsole/${name}/bind`) === '1' &&
      root.attribute(`/sys/class/vtconsole/${name}/name`)?.includes('frame buffer'),
  );
  const bootVga = functions.find(fn => fn.bootVga)?.address ?? null;
  // A VGA text console is always on the boot VGA adapter.
  if (!onFrameBuffer) return root.exists('/sys/class/vtconsole') ? bootVga : null;
  const real = root.real('/sys/class/graphics/fb0');
  return (real === null ? null : pciOwner(real)) ?? bootVga;
}

function serialConsoles(root: HostRoot): Map<string, { owner: string; name: string }[]> {
  const active = (root.attribute('/sys/class/tty/console/active') ?? '').split(/\s+/).filter(Boolean);
  const ports = active.map(name => ({
    owner: pciOwner(root.real(`/sys/class/tty/${name}`) ?? '') ?? '',
    name: printable(name),
  }));
  return Map.groupBy(ports, port => port.owner);
}
