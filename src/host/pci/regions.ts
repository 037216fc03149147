import type { PciRegion } from './function.ts';

// include/linux/ioport.h
const ioFlag = 0x100n;
const memFlag = 0x200n;
const prefetchFlag = 0x2000n;
const mem64Flag = 0x100000n;
const noFlags = '0x0000000000000000';
const unassignedFlags = 0x30000000n;
/** Start, end and flags. A recorded host may have anything else. */
const region = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16})$/i;

/**
 * Decodes sysfs `resource`: six BARs and the ROM, then the VF BARs (kernels with PCI_IOV), then the bridge windows.
 * Empty, disabled and unassigned regions are omitted.
 * @param bridge whether it is a bridge: only bridges have windows, which come last
 */
export function parseRegions(text: string, bridge: boolean): PciRegion[] {
  const lines = text.split('\n').filter(line => line.startsWith('0x'));
  const windows = bridge ? 4 : 0;
  return lines.flatMap((line, index) => {
    const fields = line.endsWith(noFlags) ? null : region.exec(line);
    if (fields === null) return [];
    const [start, end, flags] = fields.slice(1).map(BigInt) as [bigint, bigint, bigint];
    const kind = flags & memFlag ? 'memory' : flags & ioFlag ? 'io' : null;
    if (kind === null || flags & unassignedFlags || end <= start) return [];
    const bits = kind === 'io' ? 16 : flags & mem64Flag ? 64 : 32;
    return [
      {
        name: regionName(index, lines.length - windows),
        kind,
        start: `0x${start.toString(16)}`,
        size: Number(end - start + 1n),
        bits,
        prefetchable: (flags & prefetchFlag) !== 0n,
      },
    ];
  });
}

function regionName(index: number, firstWindow: number): string {
  if (index >= firstWindow) return 'window';
  if (index < 6) return `bar ${index}`;
  return index === 6 ? 'rom' : `vf bar ${index - 7}`;
}
