import { readdir, stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { disksFolder } from '../definitions/create/plan.ts';
import { listNames } from '../definitions/files.ts';
import { disksOf } from '../definitions/same-disk.ts';
import { DefinitionStore } from '../definitions/store.ts';
import { isFolder } from '../devices/backends/disk.ts';
import { type ImageFacts, imageFacts } from '../engine/images/image-info.ts';
import { codeText } from '../text/errno.ts';

/** A disk image of the host. */
export type HostImage = Omit<ImageFacts, 'format'> & {
  /** Null if it cannot be read; its problems say why. */
  readonly format: string | null;
  /** As given in a definition; null if in none. */
  readonly definedFormat: string | null;
  /** The VMs whose definitions name it. */
  readonly definedIn: readonly string[];
};

export type HostImages = {
  /** By path. */
  readonly images: readonly HostImage[];
  /** The folder of new disks. */
  readonly folder: string;
  /** Other files or folders that could not be read, a sentence each. */
  readonly problems: readonly string[];
};

/** The most files shown of one folder, which may contain anything. */
const MOST_IN_FOLDER = 1000;
const AT_ONCE = 8;

/** File name extensions of images, for folders that are not vring's own. */
const EXTENSIONS = new Set([
  ...['.img', '.raw', '.iso', '.qcow', '.qcow2', '.qed'],
  ...['.vmdk', '.vdi', '.vhd', '.vhdx', '.vpc'],
]);

/** Formats read here; others need a qemu-img process for each file. */
const READ_HERE = new Set(['raw', 'qcow2']);

type Wanted = { format?: string | undefined; readonly definedIn: string[] };

/** Reads the disk images that definitions name, and those in their folders and in the folder of new disks. */
export class ImageReader {
  readonly #folder: string;
  readonly #definitions: DefinitionStore;
  /** Facts that qemu-img found, until the file changes. */
  readonly #known = new Map<string, { readonly stamp: string; readonly facts: ImageFacts }>();

  /** @param stateFolder the folder of the VM state */
  constructor(stateFolder: string, definitions = new DefinitionStore()) {
    this.#folder = disksFolder(stateFolder);
    this.#definitions = definitions;
  }

  /** @param files to be read in addition to those found */
  async read(files: readonly string[]): Promise<HostImages> {
    const wanted = new Map<string, Wanted>();
    const problems: string[] = [];
    const want = (path: string) => {
      const known = wanted.get(path) ?? { definedIn: [] };
      wanted.set(path, known);
      return known;
    };
    for (const file of files) want(resolve(file));
    this.#addDefined(want);
    const folders = new Set([...wanted.keys()].map(file => dirname(file)).filter(mayHaveImages));
    for (const folder of [this.#folder, ...[...folders].filter(each => each !== this.#folder)]) {
      for (const path of await this.#filesIn(folder, problems)) want(path);
    }
    const images = await inTurn([...wanted], ([path, of]) => this.#image(path, of));
    for (const path of this.#known.keys()) if (!wanted.has(path)) this.#known.delete(path);
    images.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { images, folder: this.#folder, problems };
  }

  /** Invalid definitions are reported in the VM list. */
  #addDefined(want: (path: string) => Wanted): void {
    for (const name of listNames(this.#definitions.folder)) {
      let disks: ReturnType<typeof disksOf>;
      try {
        disks = disksOf(this.#definitions.definition(name));
      } catch {
        continue;
      }
      for (const { file, format } of disks) {
        if (isFolder(format)) continue;
        const image = want(resolve(file));
        image.format ??= format;
        if (!image.definedIn.includes(name)) image.definedIn.push(name);
      }
    }
  }

  async #filesIn(folder: string, problems: string[]): Promise<string[]> {
    try {
      const entries = await readdir(folder, { withFileTypes: true });
      const files = entries.filter(
        entry =>
          entry.isFile() &&
          !entry.name.startsWith('.') &&
          (folder === this.#folder || EXTENSIONS.has(extname(entry.name).toLowerCase())),
      );
      if (files.length > MOST_IN_FOLDER)
        problems.push(`${folder} has ${files.length} images, of which ${MOST_IN_FOLDER} are shown`);
      return files.slice(0, MOST_IN_FOLDER).map(({ name }) => join(folder, name));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') problems.push(`the folder ${folder} cannot be read: ${codeText(code)}`);
      return [];
    }
  }

  async #image(path: string, { format, definedIn }: Wanted): Promise<HostImage> {
    const defined = { definedFormat: format ?? null, definedIn };
    try {
      return { ...(await this.#facts(path, format)), ...defined };
    } catch (error) {
      const nothing = { format: null, size: null, allocated: 0, isBlockDevice: false };
      const none = { backing: [], snapshots: [], details: {} };
      return { path, ...nothing, ...none, problems: [(error as Error).message], ...defined };
    }
  }

  async #facts(path: string, format: string | undefined): Promise<ImageFacts> {
    const stamp = await stampOf(path);
    const known = this.#known.get(path);
    if (known !== undefined && known.stamp === stamp) return known.facts;
    const facts = await imageFacts(path, format);
    if (stamp !== null && !READ_HERE.has(facts.format)) this.#known.set(path, { stamp, facts });
    return facts;
  }
}

/** Folders of device nodes contain no images. */
function mayHaveImages(folder: string): boolean {
  return !/^\/(dev|proc|sys)(\/|$)/.test(folder);
}

async function stampOf(path: string): Promise<string | null> {
  const stats = await stat(path, { bigint: true }).catch(() => null);
  if (stats === null) return null;
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(' ');
}

/** Runs a few at a time, and returns results in the order of the items. */
async function inTurn<Item, Result>(
  items: readonly Item[],
  make: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await make(items[index]!);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}
