import { UsageError } from '../../text/usage-error.ts';

/** The uids that a manager of root gives its machines, one each; each uid is also the machine's gid. Null: machines run as root. */
export type UidRange = { readonly first: number; readonly last: number } | null;

/** What systemd's user and group id ranges leave unused (systemd.io/UIDS-GIDS): nobody's files belong to these. */
export const DEFAULT_UIDS: UidRange = { first: 1_879_048_192, last: 1_879_113_727 };

/** (uid_t) -1 stands for no uid, and -2 often for nobody. */
const LAST_UID = 2 ** 32 - 3;

/** @param text `FIRST-LAST` or `off`; `option` names where it comes from. @throws UsageError */
export function parseUidRange(text: string, option: string): UidRange {
  if (text === 'off') return null;
  const [, first, last] = /^(\d{1,10})-(\d{1,10})$/.exec(text)?.map(Number) ?? [];
  if (first === undefined || last === undefined || first < 1 || last < first || last > LAST_UID)
    throw new UsageError(
      `${option} "${text}" is not a range of uids: give FIRST-LAST, from 1 to ${LAST_UID}, or off`,
    );
  return { first, last };
}

/** The lowest uid of the range that no other machine has. @throws when all are taken */
export function freeUid({ first, last }: NonNullable<UidRange>, taken: ReadonlySet<number>): number {
  for (let uid = first; uid <= last; uid++) if (!taken.has(uid)) return uid;
  throw new Error(
    `every uid from ${first} to ${last} is taken by a VM: give vring serve a larger range with --uids`,
  );
}
