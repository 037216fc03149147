import { ADDRESS_64, CAPABILITY, INTERRUPTERS, PORTS, SLOTS, SPACE, VERSION_1_1 } from './registers.ts';

/** The controller's capabilities (xHCI 1.1 §5.3). */
export function readCapability(offset: number): number {
  switch (offset) {
    case CAPABILITY.lengthAndVersion:
      return ((VERSION_1_1 << 16) | SPACE.operational) >>> 0;
    case CAPABILITY.structural1:
      return ((PORTS << 24) | (INTERRUPTERS << 8) | SLOTS) >>> 0;
    case CAPABILITY.parameters1:
      return (((SPACE.extended / 4) << 16) | ADDRESS_64) >>> 0;
    case CAPABILITY.doorbells:
      return SPACE.doorbells;
    case CAPABILITY.runtime:
      return SPACE.runtime;
    // Event rings of one segment, no scratchpad, no latencies.
    default:
      return 0;
  }
}

/** The extended capabilities, of which there is one: all ports are USB 2.0 (§7.2). */
const SUPPORTED_PROTOCOL: readonly number[] = [
  0x0200_0002,
  // "USB "
  0x2042_5355,
  (PORTS << 8) | 1,
  0,
];

export function readExtended(offset: number): number {
  return SUPPORTED_PROTOCOL[offset / 4] ?? 0;
}
