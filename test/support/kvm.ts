import { accessSync, constants } from 'node:fs';

/** Why tests on /dev/kvm can't run here; null if they can. */
export const noKvm: string | null = (() => {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return `/dev/kvm cannot be opened: ${(error as NodeJS.ErrnoException).code}`;
  }
})();

/** The title of a suite that needs /dev/kvm, with the reason when it is skipped. */
export function onKvm(title: string): string {
  return noKvm === null ? title : `${title} (skipped: ${noKvm})`;
}
