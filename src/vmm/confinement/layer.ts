import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { errnoName } from '../native/libc.ts';

/** The layers that confine a machine's process, in the order in which they are shown. */
export const LAYER_NAMES = [
  'user-namespace',
  'mount-namespace',
  'pid-namespace',
  'ipc-namespace',
  'uts-namespace',
  'network',
  'landlock',
  'empty-root',
  'uid',
  'capabilities',
  'no-new-privs',
  'dumpable',
  'rlimits',
  'cgroup',
  'seccomp',
] as const;

export type LayerName = (typeof LAYER_NAMES)[number];

/**
 * One layer: `off` if not requested, `unavailable` if this host does not support it; `reason` then gives the reason and
 * the next step. With `on`, it is a note, if there is one.
 */
export type Layer = {
  readonly name: LayerName;
  readonly state: 'on' | 'off' | 'unavailable';
  readonly reason: string | null;
};

/** The outcome of a layer that was not requested (native/src/spawn/request.rs). */
const NOT_ASKED = -1;

/** @param outcome 0 if it is on, -1 if it was not requested, or the errno with which it failed */
export function layerOf(name: LayerName, outcome: number, detail: string | null = null): Layer {
  if (outcome === 0) return { name, state: 'on', reason: detail };
  if (outcome === NOT_ASKED) return { name, state: 'off', reason: null };
  return { name, state: 'unavailable', reason: whyUnavailable(name, outcome) };
}

/**
 * The layers of a process: those it was started with and those it added itself. A layer in both is on if the process's
 * own is, but a failure at the start stays visible.
 */
export function mergeLayers(started: readonly Layer[], own: readonly Layer[]): readonly Layer[] {
  const all = [...started, ...own];
  return LAYER_NAMES.flatMap(name => {
    const found = all.filter(layer => layer.name === name);
    const failed = found.find(({ state }) => state === 'unavailable');
    const on = found.findLast(({ state }) => state === 'on');
    return failed ?? on ?? found[0] ?? [];
  });
}

const NAMESPACE_ADVICE = new Map([
  [
    constants.errno.EPERM,
    'it needs root or a user namespace, and no sandbox around vring that forbids it (RestrictNamespaces= of a systemd unit)',
  ],
  [constants.errno.ENOSPC, 'the limit on namespaces is reached: raise user.max_*_namespaces with sysctl'],
  [constants.errno.EINVAL, 'this kernel was built without it'],
]);

const ADVICE: { readonly [name in LayerName]?: ReadonlyMap<number, string> } = {
  'user-namespace': new Map([
    [
      constants.errno.EPERM,
      'this user may not create one: allow it with sysctl kernel.unprivileged_userns_clone=1 (Debian) or ' +
        'kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), and without RestrictNamespaces= in a systemd unit',
    ],
    [
      constants.errno.ENOSPC,
      'the limit on user namespaces is reached: raise user.max_user_namespaces with sysctl',
    ],
    [constants.errno.EACCES, 'a security module forbids user namespaces to this user'],
    [constants.errno.EINVAL, 'this kernel was built without user namespaces'],
  ]),
  landlock: new Map([
    [
      constants.errno.ENOSYS,
      'this kernel has no Landlock: use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK',
    ],
    [constants.errno.EOPNOTSUPP, "Landlock is off: add landlock to lsm= on the kernel's command line"],
    [constants.errno.E2BIG, 'too many Landlock rulesets are stacked around vring (16 are possible)'],
  ]),
  'empty-root': new Map([
    [constants.errno.EPERM, 'it needs root or a user namespace'],
    [
      constants.errno.ENOSYS,
      'this kernel cannot make a file system without mounting it: use Linux 5.2 or newer',
    ],
  ]),
  uid: new Map([
    [constants.errno.EPERM, 'only root can run a VM under a uid of its own'],
    [
      constants.errno.EAGAIN,
      "that uid's limit on processes is reached: choose another, or raise RLIMIT_NPROC",
    ],
    [constants.errno.EINVAL, 'that uid does not exist in the user namespace that vring runs in'],
  ]),
  cgroup: new Map([
    [constants.errno.EACCES, 'the cgroup is not writable for this user'],
    [
      constants.errno.EBUSY,
      'the cgroup has controllers enabled for its children, so no process can be in it',
    ],
    [constants.errno.EOPNOTSUPP, 'the cgroup is in a threaded or invalid domain'],
    [constants.errno.ENOENT, 'the cgroup was removed'],
    [constants.errno.EINVAL, 'this kernel cannot start a process in a cgroup: use Linux 5.7 or newer'],
    [constants.errno.ENOSYS, 'a sandbox around vring forbids to start a process in one (clone3)'],
    [constants.errno.EAGAIN, 'the cgroup has as many processes as its pids.max allows'],
  ]),
  seccomp: new Map([
    [constants.errno.EINVAL, 'this kernel was built without seccomp filters'],
    [
      constants.errno.ESRCH,
      'a thread has a filter of its own already: confine the process before its vCPUs start',
    ],
  ]),
};

/** For layers that every thread must have: `landlock`, `capabilities`, `seccomp`. */
const THREADS = new Map([
  [
    constants.errno.ETIMEDOUT,
    'a thread did not answer within five seconds, so that some threads are without it',
  ],
  [
    constants.errno.ESRCH,
    'a thread has a filter of its own already: confine the process before its vCPUs start',
  ],
]);

function whyUnavailable(name: LayerName, errno: number): string {
  const isNamespace = name.endsWith('-namespace') || name === 'network';
  const advice =
    ADVICE[name]?.get(errno) ?? THREADS.get(errno) ?? (isNamespace ? NAMESPACE_ADVICE.get(errno) : undefined);
  return advice ?? `${errnoName(errno)} (${getSystemErrorMessage(-errno)})`;
}

const TITLES: { readonly [name in LayerName]: string } = {
  'user-namespace': 'user namespace',
  'mount-namespace': 'mount namespace',
  'pid-namespace': 'PID namespace',
  'ipc-namespace': 'IPC namespace',
  'uts-namespace': 'UTS namespace',
  network: 'network namespace',
  landlock: 'Landlock',
  'empty-root': 'empty root',
  uid: 'uid of its own',
  capabilities: 'no capabilities',
  'no-new-privs': 'no new privileges',
  dumpable: 'no core, no debugger',
  rlimits: 'resource limits',
  cgroup: 'cgroup',
  seccomp: 'seccomp',
};

/** A layer's name in running text. */
export function layerTitle(name: LayerName): string {
  return TITLES[name];
}

/** One line about all layers: `confined (no uid of its own: only root can ...)`. */
export function describeLayers(layers: readonly Layer[]): string {
  const missing = layers.filter(({ state }) => state === 'unavailable');
  const on = layers.filter(({ state }) => state === 'on').length;
  if (on === 0) return missing.length === 0 ? 'not confined' : `not confined: ${missing[0]!.reason}`;
  if (missing.length === 0) return 'confined';
  return `confined, without ${missing.map(({ name }) => layerTitle(name)).join(', ')}`;
}
