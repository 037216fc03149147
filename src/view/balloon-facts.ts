import type { BalloonFacts } from '../devices/virtio/balloon/facts.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { bytes } from '../text/units.ts';

/** The balloon of a VM that has a machine; null if it has none. */
export function balloonOf({ topology }: Pick<VmInfo, 'topology'>): BalloonFacts | null {
  return topology?.devices.find(({ balloon }) => balloon !== undefined)?.balloon ?? null;
}

/** `1.5G of 2G, to be 1G; 300M free, 800M available`. */
export function balloonText({ memory, target, current, active, stats, obstacle }: BalloonFacts): string {
  const size = current === memory ? bytes(memory) : `${bytes(current)} of ${bytes(memory)}`;
  const next = target === current ? '' : `, to be ${bytes(target)}`;
  if (!active) return `${size}${next}; the guest has no driver for its balloon`;
  const { free, available, caches } = stats ?? {};
  const parts = [
    ...(free === undefined ? [] : [`${bytes(free)} free`]),
    ...(available === undefined ? [] : [`${bytes(available)} available`]),
    ...(caches === undefined ? [] : [`${bytes(caches)} of caches`]),
  ];
  const kept = obstacle === null ? '' : '; the host gets none of the rest back';
  return `${size}${next}${parts.length === 0 ? '' : `; ${parts.join(', ')}`}${kept}`;
}
