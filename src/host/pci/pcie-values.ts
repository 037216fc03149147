/** PCI Express 5.0 §7.5.3.2, device/port type. */
export const pcieTypes: Readonly<Record<number, string>> = {
  0: 'endpoint',
  1: 'legacy endpoint',
  4: 'root port',
  5: 'upstream port',
  6: 'downstream port',
  7: 'PCIe-to-PCI bridge',
  8: 'PCI-to-PCIe bridge',
  9: 'root-complex integrated endpoint',
  10: 'root-complex event collector',
};

/** Link control, bits 0 and 1. */
export const aspmStates = ['off', 'L0s', 'L1', 'L0s and L1'] as const;

const speeds = [2.5, 5, 8, 16, 32, 64] as const;

/** GT/s for a link speed code (1 = 2.5 GT/s), or null. */
export function linkSpeed(code: number): number | null {
  return speeds[code - 1] ?? null;
}
