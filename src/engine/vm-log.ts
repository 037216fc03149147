import type { LogEntry, VmInfo } from './vm-info.ts';

type Log = (level: LogEntry['level'], text: string) => void;

/** Logs the changes of a VM from `before` to `now` that are worth a line. */
export function logChanges(before: VmInfo | null, now: VmInfo, log: Log): void {
  if (before?.state !== now.state) logState(before, now, log);
  if (now.problem !== null && before?.problem !== now.problem) log('error', now.problem);
}

function logState(before: VmInfo | null, now: VmInfo, log: Log): void {
  switch (now.state) {
    case 'running':
      if (before?.state === 'stuck') log('info', 'responds again');
      // The migration is logged instead.
      else if (before?.state === 'paused' && isMoving(before)) break;
      // The machine itself logs what woke it.
      else if (before?.state !== 'suspended') log('info', before?.state === 'paused' ? 'resumed' : 'started');
      break;
    case 'paused':
      if (isMoving(now)) break;
      log('info', before?.state === 'stuck' ? 'responds again: paused' : 'paused');
      break;
    case 'suspended':
      if (before?.state === 'stuck') log('info', 'responds again: suspended');
      else if (before?.state === 'paused') log('info', 'resumed: its guest sleeps');
      break;
    case 'stuck':
      log('error', `stuck: ${now.reason}`);
      break;
    case 'crashed':
      log('error', now.interrupted ? (now.reason ?? '') : withDetail('crashed', now));
      break;
    case 'off':
      // A VM that was just added to the list has not ended.
      if (before === null) break;
      if (before.state === 'starting') log('error', withDetail('could not start', now));
      else log('info', now.reason === null ? 'off' : `off: ${now.reason}`);
      break;
    case 'starting':
    case 'stopping':
      break;
  }
}

/** It is stopped for its way to or from another host. */
function isMoving({ task }: VmInfo): boolean {
  return task?.kind === 'migrate' || task?.kind === 'receive';
}

function withDetail(what: string, { reason, detail }: VmInfo): string {
  return `${what}: ${reason}${detail === null ? '' : `\n${detail}`}`;
}
