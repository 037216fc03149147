import { readFile } from 'node:fs/promises';
import { type CpioEntry, cpio } from './cpio.ts';
import type { KernelModule } from './kernel-modules.ts';
import { BUSYBOX, run } from './tools.ts';

/**
 * An initial root with busybox, an /init script, and modules that the script loads in name order (`/modules/00-*.ko`,
 * ...), which is dependency order.
 * @param files of this machine, by their paths in the initial root
 */
export async function initramfs(
  initScript: string,
  modules: readonly KernelModule[],
  files: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  const directories = new Set(['bin', 'dev', 'proc', 'sys', 'tmp', 'newroot', 'modules']);
  for (const path of Object.keys(files)) for (const directory of above(path)) directories.add(directory);
  const entries: CpioEntry[] = [
    ...[...directories].map(path => ({ kind: 'directory', path }) as const),
    // The kernel opens it for /init's output before anything is mounted on /dev.
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'file', path: 'init', data: await readFile(initScript), executable: true },
    { kind: 'file', path: 'bin/busybox', data: await readFile(BUSYBOX), executable: true },
  ];
  for (const applet of await busyboxApplets()) {
    entries.push({ kind: 'link', path: `bin/${applet}`, target: 'busybox' });
  }
  for (const [index, module] of modules.entries()) {
    const path = `modules/${String(index).padStart(2, '0')}-${module.name}.ko`;
    entries.push({ kind: 'file', path, data: await readFile(module.file) });
  }
  for (const [path, file] of Object.entries(files)) {
    entries.push({ kind: 'file', path, data: await readFile(file), executable: true });
  }
  return cpio(entries);
}

/** The parent folders of a file, outermost first. */
function above(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

/** The names of busybox's applets, except busybox itself. */
export async function busyboxApplets(): Promise<string[]> {
  const { stdout } = await run(BUSYBOX, ['--list']);
  return stdout.split('\n').filter(applet => applet !== 'busybox');
}
