import type { BootKind } from '../../devices/boot-device.ts';

/** A device that firmware can boot from, with its Open Firmware path. */
export type BootCandidate = {
  readonly kind: BootKind | null;
  readonly index?: number | undefined;
  readonly path: string;
};

/**
 * The paths that firmware boots from, in order: first those of devices with an index, then the others, by `order`, or
 * in the order of the devices if it is empty.
 */
export function bootOrder(devices: readonly BootCandidate[], order: readonly BootKind[]): string[] {
  const indexed = devices.filter(({ index }) => index !== undefined).sort((a, b) => a.index! - b.index!);
  const others = devices.filter(({ index, kind }) => index === undefined && kind !== null);
  const chosen =
    order.length === 0 ? others : order.flatMap(wanted => others.filter(({ kind }) => kind === wanted));
  return [...indexed, ...chosen].map(({ path }) => path);
}
