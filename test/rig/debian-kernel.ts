import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { run } from './tools.ts';
import { cacheDirectory } from './workspace.ts';

/** Debian's kernel package, unpacked. */
export type Kernel = {
  /** As shown by `uname -r`. */
  readonly release: string;
  readonly bzImage: string;
  /** The ELF file inside the bzImage: it boots by PVH, which saves the emulated CPU the decompression. */
  readonly vmlinux: string;
  /** lib/modules/<release>. */
  readonly modules: string;
};

const SERIES = '6.12';

/** The newest kernel of Debian's 6.12 series, from the cache or from apt. */
export async function debianKernel(): Promise<Kernel> {
  const kernels = join(cacheDirectory, 'linux');
  await mkdir(kernels, { recursive: true });
  const cached = (await readdir(kernels)).filter(name => name.startsWith(`${SERIES}.`)).sort();
  const release = cached.at(-1) ?? (await download(kernels));
  const root = join(kernels, release);
  return {
    release,
    bzImage: join(root, `boot/vmlinuz-${release}`),
    vmlinux: join(root, 'boot/vmlinux'),
    modules: join(root, 'lib/modules', release),
  };
}

/** Unpacks the package next to its final place, then renames it. @returns the release. */
async function download(kernels: string): Promise<string> {
  const release = await newestRelease();
  const work = await mkdtemp(join(kernels, 'unpack-'));
  try {
    await run('apt-get', ['download', '-qq', `linux-image-${release}`], { cwd: work });
    const archive = (await readdir(work)).find(name => name.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get downloaded no package for linux-image-${release}`);
    const root = join(work, 'root');
    await run('dpkg', ['--extract', archive, root], { cwd: work });
    const bzImage = await readFile(join(root, `boot/vmlinuz-${release}`));
    await writeFile(join(root, 'boot/vmlinux'), extractVmlinux(bzImage));
    await rename(root, join(kernels, release)).catch(error => {
      if (!existsSync(join(kernels, release))) throw error; // another test run was faster: use its copy
    });
    return release;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function newestRelease(): Promise<string> {
  // apt lists versions newest first; the meta package depends on the one with the kernel.
  const { stdout } = await run('apt-cache', ['show', 'linux-image-amd64']);
  const releases = [...stdout.matchAll(/^Depends: linux-image-(\S+-amd64)/gm)].map(match => match[1]!);
  const release = releases.find(name => name.startsWith(`${SERIES}.`));
  if (release === undefined) {
    throw new Error(
      `apt knows no Linux ${SERIES} for amd64 (${releases.join(', ') || 'none'}): run scripts/install-deps.sh`,
    );
  }
  return release;
}

/** Finds the compressed kernel in a bzImage by its setup header: Documentation/arch/x86/boot.rst, `payload_offset`. */
function extractVmlinux(bzImage: Buffer): Buffer {
  const setupSectors = bzImage.readUInt8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + bzImage.readUInt32LE(0x248);
  const length = bzImage.readUInt32LE(0x24c);
  const uncompressedSizeBytes = 4; // follows the compressed data, inside the payload
  return zstdDecompressSync(bzImage.subarray(start, start + length - uncompressedSizeBytes));
}
