import type { LogEntry, VmInfo } from './vm-info.ts';

type Tell = (level: LogEntry['level'], text: string) => void;

/** What is worth a line in the log when a VM changes from `before` to `now`. */
export function tellChanges(before: VmInfo | null, now: VmInfo, tell: Tell): void {
  if (before?.state !== now.state) tellState(before, now, tell);
  if (now.problem !== null && before?.problem !== now.problem) tell('error', now.problem);
  for (const [device, reason] of Object.entries(now.broken)) {
    if (before?.broken[device] !== reason) tell('error', `${device} is broken: ${reason}`);
  }
}

function tellState(before: VmInfo | null, now: VmInfo, tell: Tell): void {
  switch (now.state) {
    case 'running':
      tell('info', before?.state === 'paused' ? 'it goes on' : 'it runs');
      break;
    case 'paused':
      tell('info', 'it is paused');
      break;
    case 'crashed':
      tell('error', now.interrupted ? (now.reason ?? '') : withDetail('it crashed', now));
      break;
    case 'off':
      // A VM that is only taken into the list has not ended.
      if (before === null) break;
      if (before.state === 'starting') tell('error', withDetail('it could not be started', now));
      else tell('info', now.reason === null ? 'it is off' : `it is off: ${now.reason}`);
      break;
    case 'starting':
    case 'stopping':
      break;
  }
}

function withDetail(what: string, { reason, detail }: VmInfo): string {
  return `${what}: ${reason}${detail === null ? '' : `\n${detail}`}`;
}
