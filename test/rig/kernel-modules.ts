import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Kernel } from './debian-kernel.ts';
import { run } from './tools.ts';

export type KernelModule = {
  readonly name: string;
  /** Uncompressed and without debug sections, on this machine. */
  readonly file: string;
  /** Below lib/modules/<release>. */
  readonly path: string;
};

/** A module's name in the kernel: `_` where file names may have `-`. */
function moduleName(path: string): string {
  return basename(path, '.ko').replaceAll('-', '_');
}

/** The named modules of a kernel with their dependencies, which come first. */
export async function resolveModules(kernel: Kernel, names: readonly string[]): Promise<KernelModule[]> {
  const order = await readFile(join(kernel.modules, 'modules.order'), 'utf8');
  const paths = new Map(order.split('\n').map(path => [moduleName(path), path]));
  const resolved = new Map<string, KernelModule>();

  async function add(name: string): Promise<void> {
    if (resolved.has(name)) return;
    const path = paths.get(name);
    if (path === undefined) throw new Error(`Linux ${kernel.release} has no module ${name}`);
    const file = await uncompressed(kernel, path);
    const { stdout } = await run('modinfo', ['--field', 'depends', file]);
    for (const dependency of stdout.split(',').filter(Boolean)) await add(dependency.replaceAll('-', '_'));
    resolved.set(name, { name, file, path });
  }

  for (const name of names) await add(name.replaceAll('-', '_'));
  return [...resolved.values()];
}

async function uncompressed(kernel: Kernel, path: string): Promise<string> {
  const file = join(kernel.modules, 'uncompressed', path);
  if (existsSync(file)) return file;
  await mkdir(dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}`;
  await run('xz', ['--decompress', '--stdout', join(kernel.modules, `${path}.xz`)], {
    stdout: { file: partial },
  });
  await run('strip', ['--strip-debug', partial]);
  await rename(partial, file);
  return file;
}

/** Installs modules and their index (`modules.dep` and others) under `root`, for modprobe. */
export async function installModules(
  kernel: Kernel,
  modules: readonly KernelModule[],
  root: string,
): Promise<void> {
  const directory = join(root, 'lib/modules', kernel.release);
  await rm(directory, { recursive: true, force: true });
  for (const module of modules) {
    const destination = join(directory, module.path);
    await mkdir(dirname(destination), { recursive: true });
    await copyFile(module.file, destination);
  }
  for (const index of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    await copyFile(join(kernel.modules, index), join(directory, index));
  }
  await run('depmod', ['--basedir', root, kernel.release]);
}
