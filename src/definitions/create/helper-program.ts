import { execa } from 'execa';
import { CreateError } from './image-info.ts';

/** How a program reports a full file system, in the C locale (errno(3)). */
const FULL = /No space left on device|Disk quota exceeded/;

/** The result of a program that writes a file. */
export type HelperResult = Awaited<ReturnType<typeof runHelper>>;

/** Starts a program that writes a file; its failure is in the result. */
export function runHelper(command: string, args: readonly string[], signal?: AbortSignal) {
  return execa(command, args, {
    stdin: 'ignore',
    reject: false,
    env: { LC_ALL: 'C' },
    ...(signal && { cancelSignal: signal }),
  });
}

/** Why a program could not write `file`. @param whatFailed as in `qemu-img could not create /srv/web.qcow2` */
export function helperFailure(whatFailed: string, file: string, result: HelperResult): Error {
  const said = result.stderr.trim().split('\n').at(-1) || result.shortMessage;
  return FULL.test(result.stderr)
    ? Object.assign(new Error(said), { code: 'ENOSPC', path: file })
    : new CreateError(`${whatFailed}: ${said}`);
}
