import type { HostLoad } from '../../host/load.ts';

/** What the host did between two looks at it. */
export type HostUse = {
  /** CPUs in use: 1 is one in full use. */
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
