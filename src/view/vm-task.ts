import type { VmTask } from '../engine/snapshots/snapshot-info.ts';
import { bytes, percent } from '../text/units.ts';

/** The progress of a VM's operation: `writing 120M of 1G, 12%`. */
export function describeTask({ kind, phase, done, total, waitingFor }: VmTask): string {
  switch (phase) {
    case 'stopping':
      return waitingFor.length === 0
        ? 'stopping the machine'
        : `waiting for the host to finish the requests of ${waitingFor.join(', ')}`;
    case 'writing':
      return `writing ${amount(done, total)}`;
    case 'syncing':
      return kind === 'save' ? 'waiting for the disk' : 'the VM runs again; waiting for the disk';
    case 'verifying':
      return total === 0 ? 'examining the files' : `comparing checksums ${amount(done, total)}`;
    case 'copying':
      return `copying disks ${amount(done, total)}`;
    case 'starting':
      return 'starting';
  }
}

const WORDS: Readonly<Record<VmTask['kind'], string>> = { snapshot: 'snap', save: 'save', restore: 'load' };

/** The same within eight cells: `snap 12%`. */
export function taskWord({ kind, phase, done, total }: VmTask): string {
  const counts = total > 0 && phase !== 'starting' && phase !== 'syncing';
  return `${WORDS[kind]} ${counts ? percent(Math.min(done / total, 0.99)) : '...'}`;
}

function amount(done: number, total: number): string {
  return total === 0 ? '' : `${bytes(done)} of ${bytes(total)}, ${percent(done / total)}`;
}
