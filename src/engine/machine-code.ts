import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtFile, bundled, projectRoot } from '../project-root.ts';

/** The file that a machine thread runs, and its arguments. */
export type MachineEntry = { readonly path: string; readonly argv: readonly string[] };

const path = bundled ? builtFile('machine-thread.js') : join(import.meta.dirname, '../vmm/machine/thread.ts');

/** As they were when `keepMachineCode` was called. */
let kept: { readonly text: Buffer; readonly identity: string | null } | null = null;
let copy: string | null = null;

/**
 * From here on, machine threads of this version can be started although an upgrade replaces or removes its files. The libraries
 * that they load are loaded: the dynamic linker looks for their paths there before it looks at the disk.
 * @throws with a sentence for the user: the native library is missing or of another version
 */
export async function keepMachineCode(): Promise<void> {
  if (!bundled) return;
  const { nativeCalls } = await import('../vmm/native/native-library.ts');
  nativeCalls();
  kept = { identity: identity(), text: readFileSync(path) };
}

export function machineEntry(): MachineEntry {
  if (kept === null || identity() === kept.identity) return { path, argv: [] };
  return { path: writtenCopy(kept.text), argv: [join(projectRoot(), 'dist')] };
}

function identity(): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : [stat.dev, stat.ino, stat.size, stat.mtimeNs].join();
}

/** Written when it is needed first, and again when something has tidied it away. */
function writtenCopy(text: Buffer): string {
  if (copy !== null && existsSync(copy)) return copy;
  const folder = mkdtempSync(join(tmpdir(), 'vring-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  copy = join(folder, 'machine-thread.mjs');
  writeFileSync(copy, text);
  return copy;
}
