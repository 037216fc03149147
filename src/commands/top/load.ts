import type { HostLoad } from '../../host/load.ts';

/** Host activity between two samples. */
export type HostUse = {
  /** CPU usage: 1 is one fully used CPU. */
  readonly cpu: number;
  readonly cpus: number;
  readonly memory: HostLoad['memory'];
};

const IDLE = new Set(['idle', 'iowait']);

export function hostUse(before: HostLoad, after: HostLoad, seconds: number): HostUse {
  const busy = Object.keys(after.cpuSeconds)
    .filter(mode => !IDLE.has(mode))
    .reduce((sum, mode) => sum + after.cpuSeconds[mode]! - (before.cpuSeconds[mode] ?? 0), 0);
  const cpu = seconds > 0 ? Math.min(after.cpus, Math.max(0, busy / seconds)) : 0;
  return { cpu, cpus: after.cpus, memory: after.memory };
}
