import { UsageError } from '../../text/usage-error.ts';

/**
 * The uids for the machines of root's manager, one each; each uid is also the machine's gid. Null: machines run as
 * root.
 */
export type UidRange = { readonly first: number; readonly last: number } | null;

/**
 * A range that systemd's allocation of user and group ids leaves unused (systemd.io/UIDS-GIDS): no files belong to
 * these ids.
 */
export const DEFAULT_UIDS: UidRange = { first: 1_879_048_192, last: 1_879_113_727 };

/** (uid_t) -1 means no uid, and -2 is often nobody. */
const LAST_UID = 2 ** 32 - 3;

/** @param text `FIRST-LAST` or `off`; `option` names its source. @throws UsageError */
export function parseUidRange(text: string, option: string): UidRange {
  if (text === 'off') return null;
  const [, first, last] = /^(\d{1,10})-(\d{1,10})$/.exec(text)?.map(Number) ?? [];
  if (first === undefined || last === undefined || first < 1 || last < first || last > LAST_UID)
    throw new UsageError(
      `${option} "${text}" is not a range of uids: give FIRST-LAST, from 1 to ${LAST_UID}, or off`,
    );
  return { first, last };
}

/** The lowest uid of the range that no other machine uses. @throws when all are taken */
export function freeUid({ first, last }: NonNullable<UidRange>, taken: ReadonlySet<number>): number {
  for (let uid = first; uid <= last; uid++) if (!taken.has(uid)) return uid;
  throw new Error(
    `every uid from ${first} to ${last} is taken by a VM: give vring serve a larger range with --uids`,
  );
}
