import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { own } from './own.ts';

/** What the code of a failed system call means: `too many symbolic links encountered (ELOOP)`. */
export function codeText(code: string | undefined): string {
  if (code === undefined) return 'unknown error';
  const errno = own(constants.errno as Readonly<Record<string, number>>, code);
  const text = errno === undefined ? undefined : getSystemErrorMessage(-errno);
  return text === undefined ? code : `${text} (${code})`;
}
