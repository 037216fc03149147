import { confineOptionsStruct, confineReportStruct } from '../native/abi.ts';
import { checked, nativeCalls } from '../native/native-library.ts';
import { type Layer, type LayerName, layerOf } from './layer.ts';
import { encodeRlimits, type Rlimits } from './rlimits.ts';

/** The layers that a process adds itself, in the order of native/src/confine/mod.rs. */
const LAYERS = [
  'empty-root',
  'uid',
  'capabilities',
  'dumpable',
  'landlock',
  'rlimits',
  'seccomp',
] as const satisfies readonly LayerName[];

export type OwnLayer = (typeof LAYERS)[number];

export type OwnConfinement = {
  /** A dedicated uid and gid, for a process of root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Where a forbidden system call is reported before it ends the process: `readForbiddenCall`. Stays open. */
  readonly reportFd?: number;
  readonly rlimits?: Rlimits;
  /** Paths that stay accessible, with everything below them (default: none). With any, the process keeps its root. */
  readonly readOnly?: readonly string[];
  readonly readWrite?: readonly string[];
  /** Layers to leave out (default: none). */
  readonly off?: readonly OwnLayer[];
};

/**
 * Confines this process with all of its threads for good: files, other processes and the network can only be reached
 * through what is already open. Before that, it must have loaded all its code and opened everything; vCPUs and queues
 * start later, since their threads have their own filters.
 * @returns the outcome of each layer. @throws SystemError, for a path in `readOnly` or `readWrite` that does not exist
 */
export function confineSelf(options: OwnConfinement = {}): readonly Layer[] {
  const { user, reportFd = -1, rlimits, readOnly = [], readWrite = [], off = [] } = options;
  readTimeZone();
  const paths = [...readOnly.map(path => `r${path}\0`), ...readWrite.map(path => `w${path}\0`)];
  const wanted: { readonly [name in OwnLayer]?: boolean } = {
    'empty-root': paths.length === 0,
    uid: user !== undefined,
    rlimits: rlimits !== undefined,
  };
  const asked = LAYERS.map(name => (wanted[name] ?? true) && !off.includes(name));
  const bytes = confineOptionsStruct.encode({
    flags: asked.reduce((flags, is, index) => flags | (is ? 1 << index : 0), 0),
    uid: user?.uid ?? 0,
    gid: user?.gid ?? 0,
    reportFd,
    paths: paths.length,
    ...encodeRlimits(rlimits ?? {}),
  });
  const texts = Buffer.from(`${paths.join('')}\0`);
  const answer = new Uint8Array(confineReportStruct.size);
  checked('vring_confine', nativeCalls().vring_confine(bytes, texts, texts.length, answer));
  const { outcome, landlockAbi } = confineReportStruct.read(answer);
  return LAYERS.map((name, index) =>
    layerOf(name, outcome[index]!, name === 'landlock' ? uncovered(landlockAbi) : null),
  );
}

/** What an older Landlock does not restrict, by its ABI version. */
function uncovered(abi: number): string | null {
  if (abi < 4)
    return "this kernel's Landlock does not restrict TCP and abstract Unix sockets (Linux 6.12 does)";
  if (abi < 6) return "this kernel's Landlock does not restrict abstract Unix sockets (Linux 6.12 does)";
  return null;
}

/**
 * Lets SIGTERM, SIGSEGV and the like end this process immediately, even if it is the init of its PID namespace, which
 * would ignore them, and even while its main thread is outside libuv's loop. Its exit status is then 128 plus the
 * signal's number. WebAssembly can no longer be used.
 */
export function endOnSignals(): void {
  checked('vring_end_on_signals', nativeCalls().vring_end_on_signals());
}

/** Makes the runtime read now what it would look up on first use, when confinement would prevent it. */
export function readTimeZone(): void {
  new Date().getTimezoneOffset();
}
