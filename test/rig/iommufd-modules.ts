import { existsSync } from 'node:fs';
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Kernel } from './debian-kernel.ts';
import type { KernelModule } from './kernel-modules.ts';
import { run } from './tools.ts';

/**
 * Options that Debian's kernels leave out: iommufd, character devices for VFIO devices, and VFIO without an IOMMU. All
 * of them are modules, which can be built for an otherwise unchanged kernel.
 */
const OPTIONS = { IOMMUFD: 'm', VFIO_DEVICE_CDEV: 'y', VFIO_NOIOMMU: 'y', INTERVAL_TREE_SPAN_ITER: 'y' };

/** The modules that these options affect, by their folders below `drivers`. */
const BUILT = {
  'iommu/iommufd': ['iommufd'],
  vfio: ['vfio', 'vfio_iommu_type1'],
  'vfio/pci': ['vfio-pci-core', 'vfio-pci'],
};

/** Builds them from Debian's source for this kernel, in about a minute of CPU time, or takes them from the cache. */
export async function iommufdModules(kernel: Kernel): Promise<KernelModule[]> {
  const cache = join(kernel.modules, 'iommufd');
  if (!existsSync(cache)) await build(kernel, cache);
  return Object.entries(BUILT).flatMap(([folder, names]) =>
    names.map(name => ({
      name: name.replaceAll('-', '_'),
      file: join(cache, `${name}.ko`),
      path: `kernel/drivers/${folder}/${name}.ko`,
    })),
  );
}

/** Builds in a folder next to the cache, then renames it. */
async function build(kernel: Kernel, cache: string): Promise<void> {
  const work = await mkdtemp(`${cache}-`);
  try {
    const headers = await unpackHeaders(kernel, work);
    const drivers = join(await unpackSource(kernel, work), 'drivers');
    await addSpanIterator(drivers);
    await writeFile(join(drivers, 'Kbuild'), 'obj-m += iommu/iommufd/ vfio/\n');
    const options = Object.entries(OPTIONS);
    await run('make', [
      ...['-C', headers, `M=${drivers}`, `-j${availableParallelism()}`, 'modules'],
      // Mediated device drivers are left as they are; type information would need pahole.
      ...['CONFIG_VFIO_MDEV=', 'CONFIG_DEBUG_INFO_BTF_MODULES='],
      ...options.map(([name, value]) => `CONFIG_${name}=${value}`),
      `KCFLAGS=${options.map(([name, value]) => `-DCONFIG_${name}${value === 'm' ? '_MODULE' : ''}=1`).join(' ')}`,
    ]);
    const built = join(work, 'built');
    await mkdir(built);
    for (const [folder, names] of Object.entries(BUILT)) {
      for (const name of names)
        await copyFile(join(drivers, folder, `${name}.ko`), join(built, `${name}.ko`));
    }
    for (const file of await readdir(built)) await run('strip', ['--strip-debug', join(built, file)]);
    await rename(built, cache).catch(error => {
      if (!existsSync(cache)) throw error; // another test run was faster: use its modules
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** @returns the folder to build modules in, prepared for / */
async function unpackHeaders({ release }: Kernel, work: string): Promise<string> {
  const abi = release.replace(/-amd64$/, '');
  const root = join(work, 'headers');
  for (const name of [`linux-headers-${release}`, `linux-headers-${abi}-common`, `linux-kbuild-${abi}`]) {
    await run('dpkg', ['--extract', await downloadPackage(name, work), root]);
  }
  const headers = join(root, 'usr/src', `linux-headers-${release}`);
  await writeFile(
    join(headers, 'Makefile'),
    `include ${root}/usr/src/linux-headers-${abi}-common/Makefile\n`,
  );
  return headers;
}

/** @returns a folder with the required parts of the kernel's source */
async function unpackSource({ release }: Kernel, work: string): Promise<string> {
  const { stdout } = await run('apt-cache', ['show', `linux-headers-${release}`]);
  const version = /^Version: (\S+)$/m.exec(stdout)![1]!;
  const name = `linux-source-${/^\d+\.\d+/.exec(release)![0]}`;
  const archive = await downloadPackage(`${name}=${version}`, work);
  const parts = ['drivers/vfio', 'drivers/iommu', 'lib/interval_tree.c'].map(path => `'${name}/${path}*'`);
  await run('sh', [
    ...[
      '-c',
      `dpkg --fsys-tarfile "$1" | tar -xO ./usr/src/${name}.tar.xz | tar -xJ -C "$2" --wildcards ${parts.join(' ')}`,
    ],
    ...['sh', archive, work],
  ]);
  return join(work, name);
}

async function downloadPackage(name: string, work: string): Promise<string> {
  const folder = await mkdtemp(join(work, 'package-'));
  await run('apt-get', ['download', '-qq', name], { cwd: folder });
  return join(folder, (await readdir(folder))[0]!);
}

/** Adds the part of the kernel itself that only iommufd uses, and that is therefore missing, to iommufd. */
async function addSpanIterator(drivers: string): Promise<void> {
  const tree = await readFile(join(drivers, '../lib/interval_tree.c'), 'utf8');
  const part = tree.slice(tree.indexOf('#ifdef CONFIG_INTERVAL_TREE_SPAN_ITER'));
  const iommufd = join(drivers, 'iommu/iommufd');
  await writeFile(
    join(iommufd, 'span_iter.c'),
    `#include <linux/interval_tree.h>\n#include <linux/export.h>\n${part}`,
  );
  await appendFile(join(iommufd, 'Makefile'), 'iommufd-y += span_iter.o\n');
}
