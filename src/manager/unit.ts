import { readFileSync } from 'node:fs';

/** The systemd unit that runs this process, and whether it belongs to a user's systemd instance. */
export type Unit = { readonly name: string; readonly user: boolean };

/**
 * Determined by the control group. A manager started by a client may be in a service's group, too, cron's for instance:
 * systemd sets INVOCATION_ID for the process that it starts, but children inherit it, so only `vring serve` calls this.
 */
export function thisUnit(
  env: Readonly<Record<string, string | undefined>> = process.env,
  cgroup = readFileSync('/proc/self/cgroup', 'latin1'),
): Unit | null {
  if (env.INVOCATION_ID === undefined) return null;
  // systemd 254 and newer starts the manager in a subgroup (DelegateSubgroup= in the unit).
  const name = /\/([^/\n]+\.service)(\/manager)?$/m.exec(cgroup.trim())?.[1];
  if (name === undefined || /^user@\d+\.service$/.test(name)) return null;
  return { name, user: /\/user@\d+\.service\//.test(cgroup) };
}

/** The same for another manager; null also if it cannot be determined. */
export function unitOf(pid: number): Unit | null {
  try {
    const words = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'latin1').split('\0');
    if (words('cmdline').includes('--background')) return null;
    const invocation = words('environ').find(word => word.startsWith('INVOCATION_ID='));
    return thisUnit({ INVOCATION_ID: invocation }, readFileSync(`/proc/${pid}/cgroup`, 'latin1'));
  } catch {
    return null;
  }
}
