import { spawnOptionsStruct } from '../native/abi.ts';

/** RLIMIT_x of asm-generic/resource.h. */
const RESOURCES = { fsize: 1, core: 4, nproc: 6, nofile: 7, memlock: 8, as: 9 } as const;

/** RLIM_INFINITY. */
const INFINITY = 0xffff_ffff_ffff_ffffn;

/**
 * Resource limits, soft and hard alike. `memlock`, `fsize` and `as` are bytes; `nproc` counts the threads of the uid.
 */
export type Rlimits = { readonly [resource in keyof typeof RESOURCES]?: number | 'unlimited' };

/** Most limits that one call sets (native/src/confine/rlimits.rs). */
const MAX_RLIMITS = spawnOptionsStruct.fields.rlimits.length;

/** Layout shared with native/, compared by a test. */

/** Limits in the native library's format, and their number. */
export function encodeRlimits(limits: Rlimits) {
  const set = Object.entries(limits).map(([name, limit]) => {
    const value = limit === 'unlimited' ? INFINITY : BigInt(limit);
    return { resource: BigInt(RESOURCES[name as keyof Rlimits]), soft: value, hard: value };
  });
  const none = { resource: 0n, soft: 0n, hard: 0n };
  const rlimits = [...set, ...Array.from({ length: MAX_RLIMITS - set.length }, () => none)];
  return { rlimitCount: set.length, rlimits };
}
