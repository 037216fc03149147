import type { HostRoot } from '../root.ts';
import { compareAddresses, slotOf } from './address.ts';

const devices = '/sys/bus/pci/devices';

/**
 * The functions that a device (`0000:02:00`) of the host has now, without virtual ones, whose numbers may lie in
 * between.
 */
export function functionsOfHostSlot(root: HostRoot, slot: string): string[] {
  return (root.list(devices) ?? [])
    .filter(address => slotOf(address) === slot && !root.exists(`${devices}/${address}/physfn`))
    .sort(compareAddresses);
}
