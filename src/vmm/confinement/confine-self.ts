import { Struct } from '../kvm/c-struct.ts';
import { checked, nativeCalls } from '../native/native-library.ts';
import { type Layer, type LayerName, layerOf } from './layer.ts';
import { encodeRlimits, MAX_RLIMITS, type Rlimits, rlimitStruct } from './rlimits.ts';

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
  /** A uid and a gid of its own, for a process of root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Where a forbidden system call is reported before it ends the process: `readForbiddenCall`. Stays open. */
  readonly reportFd?: number;
  readonly rlimits?: Rlimits;
  /** Layers to leave out (default: none). */
  readonly off?: readonly OwnLayer[];
};

/** Layouts shared with native/, compared by a test. */
export const confineOptionsStruct = new Struct('ConfineOptions', {
  flags: 'u32',
  uid: 'u32',
  gid: 'u32',
  reportFd: 's32',
  rlimitCount: 'u32',
  rlimits: { array: rlimitStruct, length: MAX_RLIMITS },
});
export const confineReportStruct = new Struct('ConfineReport', {
  outcome: { array: 's32', length: LAYERS.length },
  divergedThread: 's32',
});

/**
 * Confines this process for good, all of its threads: no file, no other process and no network can be reached any more except
 * through what is open. It must have loaded all its code and opened everything, and no vCPU or queue may have started,
 * whose threads have filters of their own. @returns what became of each layer. @throws SystemError
 */
export function confineSelf({
  user,
  reportFd = -1,
  rlimits,
  off = [],
}: OwnConfinement = {}): readonly Layer[] {
  warmUp();
  const flags = LAYERS.map((name, index) => {
    if (off.includes(name)) return 0;
    if (name === 'uid') return user === undefined ? 0 : 1 << index;
    if (name === 'rlimits') return rlimits === undefined ? 0 : 1 << index;
    return 1 << index;
  });
  const options = confineOptionsStruct.encode({
    flags: flags.reduce((all, flag) => all | flag, 0),
    uid: user?.uid ?? 0,
    gid: user?.gid ?? 0,
    reportFd,
    ...encodeRlimits(rlimits ?? {}),
  });
  const answer = new Uint8Array(confineReportStruct.size);
  checked('vring_confine', nativeCalls().vring_confine(options, answer));
  const { outcome } = confineReportStruct.read(answer);
  return LAYERS.map((name, index) => layerOf(name, outcome[index]!));
}

/** Makes the runtime read now what it would look for at its first use. */
function warmUp(): void {
  // The time zone's file.
  new Date().toLocaleString();
  new Date().getTimezoneOffset();
}
