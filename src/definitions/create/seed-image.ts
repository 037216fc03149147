import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { helperFailure, runHelper } from './helper-program.ts';
import { CreateError } from './image-info.ts';

/** A program that can make an image with the label that cloud-init looks for. */
export type Maker = {
  readonly command: string;
  readonly args: (out: string, folder: string, files: readonly string[]) => string[];
};

const likeMkisofs = (out: string, folder: string, files: readonly string[]) => [
  ...['-o', out, '-V', 'CIDATA', '-J', '-R', '-quiet'],
  ...files.map(file => path.join(folder, file)),
];

export const SEED_MAKERS: readonly Maker[] = [
  { command: 'genisoimage', args: likeMkisofs },
  {
    command: 'xorriso',
    args: (out, folder, files) => ['-as', 'mkisofs', ...likeMkisofs(out, folder, files)],
  },
  { command: 'mkisofs', args: likeMkisofs },
  {
    command: 'cloud-localds',
    args: (out, folder, files) => [
      ...(files.includes('network-config')
        ? [`--network-config=${path.join(folder, 'network-config')}`]
        : []),
      ...[out, path.join(folder, 'user-data'), path.join(folder, 'meta-data')],
    ],
  },
];

/**
 * Creates a seed image with whichever program is installed.
 * @param out an existing file, which is overwritten
 * @throws CreateError
 */
export async function makeSeedImage(
  out: string,
  files: Readonly<Record<string, string>>,
  signal?: AbortSignal,
  makers: readonly Maker[] = SEED_MAKERS,
): Promise<void> {
  // It may hold the hash of a password: mkdtemp makes it for this user alone.
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vring-seed-'));
  try {
    for (const [name, text] of Object.entries(files))
      fs.writeFileSync(path.join(folder, name), text, { mode: 0o600 });
    for (const { command, args } of makers) {
      const result = await runHelper(command, args(out, folder, Object.keys(files)), signal);
      signal?.throwIfAborted();
      if (result.code === 'ENOENT') continue;
      if (result.failed) throw helperFailure(`${command} could not create ${out}`, out, result);
      return;
    }
    throw new CreateError(
      'a cloud image needs a program that creates CD images: install the package genisoimage or xorriso, then try again',
    );
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
