import type { VmTask } from '../engine/snapshots/snapshot-info.ts';
import { bytes, percent } from '../text/units.ts';

/** The progress of a VM's operation: `writing 120M of 1G, 12%`. */
export function describeTask(task: VmTask): string {
  const { kind, phase, done, total, waitingFor } = task;
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
    case 'connecting':
      return 'connecting';
    case 'sending':
      return describeSending(task);
    case 'switching':
      return waitingFor.length > 0
        ? `stopped; waiting for the host to finish the requests of ${waitingFor.join(', ')}`
        : 'the guest is stopped; sending the rest';
    case 'arriving':
      return 'its memory is arriving';
  }
}

/** `round 2, 12M left, 110M/s, dirty 4M/s, downtime 180 ms`. */
function describeSending({ done, total, migration }: VmTask): string {
  if (migration?.bytesPerSecond === undefined) return `sending memory ${amount(done, total)}`.trimEnd();
  const { round, left, bytesPerSecond, dirtyBytesPerSecond = 0, downtimeMs = 0, isFutile } = migration;
  const facts = [
    `round ${round}${isFutile ? ' does not converge' : ''}`,
    `${bytes(left)} left`,
    `${bytes(bytesPerSecond)}/s`,
    `dirty ${bytes(dirtyBytesPerSecond)}/s`,
    `downtime ${Math.round(downtimeMs)} ms`,
  ];
  return facts.join(', ');
}

/** What a task is called. */
export const TASK_TITLES: Readonly<Record<VmTask['kind'], string>> = {
  snapshot: 'snapshot',
  save: 'save',
  restore: 'restore',
  migrate: 'migration',
  receive: 'arrival',
};

const WORDS: Readonly<Record<VmTask['kind'], string>> = {
  snapshot: 'snap',
  save: 'save',
  restore: 'load',
  migrate: 'move',
  receive: 'recv',
};

/** The same within eight cells: `snap 12%`. */
export function taskWord({ kind, phase, done, total }: VmTask): string {
  const counts = total > 0 && phase !== 'starting' && phase !== 'syncing';
  return `${WORDS[kind]} ${counts ? `${Math.min(Math.floor((done / total) * 100), 99)}%` : '...'}`;
}

function amount(done: number, total: number): string {
  return total === 0 ? '' : `${bytes(done)} of ${bytes(total)}, ${percent(done / total)}`;
}
