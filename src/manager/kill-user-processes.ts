import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folders of logind.conf and its drop-ins; a file in a later one hides files of the same name in earlier ones. */
const FOLDERS = ['usr/lib/systemd', 'usr/local/lib/systemd', 'run/systemd', 'etc/systemd'];

type LoginSettings = {
  readonly killUserProcesses: boolean;
  readonly killOnlyUsers: readonly string[];
  readonly killExcludeUsers: readonly string[];
};

export type Session = {
  /** The user who logged in, who does not always own the process. */
  readonly uid: number;
  readonly name: string;
};

/**
 * The warning for a user whose VMs would end at logout: systemd-logind kills the remaining processes of a session when its
 * KillUserProcesses is on (logind.conf(5)). Null when this process is in no session, or would not be killed.
 */
export function logoutWarning(root = '/', cgroup = readIfThere('/proc/self/cgroup')): string | null {
  const session = sessionOf(cgroup, root);
  if (session === null || !endsAtLogout(session, loginSettings(root))) return null;
  return (
    `the VMs will be killed when ${session.name} logs out, because KillUserProcesses is on in logind.conf. To keep them, either run vring ` +
    'as a service (systemctl enable --now vring), or as a user service: loginctl enable-linger, then ' +
    'systemctl --user enable --now vring, or systemd-run --user --scope vring'
  );
}

/**
 * The session of a process, from its control group: `.../user-1000.slice/session-3.scope`. XDG_SESSION_ID is not
 * reliable, as it stays set in processes that have been moved out of their session.
 */
export function sessionOf(cgroup: string, root = '/'): Session | null {
  const uid = /\/user-(\d+)\.slice\/session-[^/]+\.scope(\/|$)/m.exec(cgroup)?.[1];
  if (uid === undefined) return null;
  return { uid: Number(uid), name: userName(uid, root) };
}

function endsAtLogout({ name }: Session, settings: LoginSettings): boolean {
  if (!settings.killUserProcesses || settings.killExcludeUsers.includes(name)) return false;
  return settings.killOnlyUsers.length === 0 || settings.killOnlyUsers.includes(name);
}

/** As logind reads them: the main file, then drop-ins by name; the last setting of a key wins. */
export function loginSettings(root = '/'): LoginSettings {
  const main = FOLDERS.map(folder => readIfThere(join(root, folder, 'logind.conf'))).findLast(
    text => text !== '',
  );
  const dropIns = new Map<string, string>();
  for (const folder of FOLDERS) {
    const path = join(root, folder, 'logind.conf.d');
    for (const name of listIfThere(path)) if (name.endsWith('.conf')) dropIns.set(name, join(path, name));
  }
  const texts = [...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => readIfThere(path));
  const settings = new Map<string, string>();
  for (const [key, value] of [main ?? '', ...texts].flatMap(text => [...loginKeys(text)])) {
    // Lists accumulate; an empty value resets them.
    const before = key.endsWith('Users') && value !== '' ? settings.get(key) : undefined;
    settings.set(key, before === undefined ? value : `${before} ${value}`);
  }
  return {
    // The file shipped with systemd has the build-time default in a comment; without it, assume the upstream default.
    killUserProcesses: isYes(settings.get('KillUserProcesses') ?? commented(main ?? '') ?? 'yes'),
    killOnlyUsers: words(settings.get('KillOnlyUsers') ?? ''),
    killExcludeUsers: words(settings.get('KillExcludeUsers') ?? 'root'),
  };
}

function* loginKeys(text: string): Generator<[string, string]> {
  let section = '';
  for (const line of text.split('\n').map(line => line.trim())) {
    const header = /^\[(.*)\]$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, key, value] = /^([A-Za-z]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (section === 'Login' && key !== undefined) yield [key, value!];
  }
}

function commented(text: string): string | undefined {
  return /^#KillUserProcesses=(\w+)$/m.exec(text)?.[1];
}

function isYes(value: string): boolean {
  return ['1', 'yes', 'y', 'true', 't', 'on'].includes(value.toLowerCase());
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== '');
}

function userName(uid: string, root: string): string {
  for (const line of readIfThere(join(root, 'etc/passwd')).split('\n')) {
    const [name, , id] = line.split(':');
    if (id === uid && name) return name;
  }
  return uid;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function listIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
