import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf } from '../../state.ts';
import type { DmaMode } from './identify.ts';
import { TRANSFER_MODE } from './registers.ts';

const MAX_MULTIWORD = 2;
const MAX_ULTRA = 5;
const MAX_PIO = 4;
const KINDS = ['none', 'multiword', 'ultra'] as const;

/** The mode that SET FEATURES selects; null if the drive does not support it. PIO modes select no DMA. */
export function dmaModeOf(value: number): DmaMode | null {
  const number = value & 7;
  switch (value & ~7) {
    case TRANSFER_MODE.pio:
      return number <= 1 ? { kind: 'none', mode: 0 } : null;
    case TRANSFER_MODE.pioFlow:
      return number <= MAX_PIO ? { kind: 'none', mode: 0 } : null;
    case TRANSFER_MODE.multiwordDma:
      return number <= MAX_MULTIWORD ? { kind: 'multiword', mode: number } : null;
    case TRANSFER_MODE.ultraDma:
      // Serial drives accept the faster modes of parallel drives.
      return { kind: 'ultra', mode: Math.min(number, MAX_ULTRA) };
    default:
      return null;
  }
}

/** @throws DeviceStateError */
export function loadDmaMode(state: DeviceState): DmaMode {
  const kind = KINDS.find(known => known === state.kind);
  if (kind === undefined) throw new DeviceStateError('kind', 'kind of transfer');
  return { kind, mode: numberOf(state, 'mode', MAX_ULTRA) };
}
