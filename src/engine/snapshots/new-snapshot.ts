import { createHash } from 'node:crypto';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type FileIdentity, identify } from '../../vmm/snapshot/file-identity.ts';
import { FILES } from '../../vmm/snapshot/files.ts';
import { CHUNK_BYTES } from '../../vmm/snapshot/job.ts';
import { type Manifest, manifestText } from '../../vmm/snapshot/manifest.ts';
import { MAX_STATE_BYTES } from '../../vmm/snapshot/state-codec.ts';
import { synced } from './sync.ts';

const UNWRITTEN = 'the machine has not written all of the snapshot';

/** The copy of a disk, relative to the snapshot's folder, and its checksums. */
export type CopyFiles = { readonly file: string; readonly sums: string };

/** The facts about the files once they are written. */
export type Finished = {
  readonly state: Manifest['state'];
  readonly ram: Omit<Manifest['ram'], 'bytes'>;
  readonly copies: readonly {
    readonly file: string;
    readonly identity: FileIdentity;
    readonly sums: string | null;
  }[];
};

export function copyFiles(index: number): CopyFiles {
  return { file: `disks/${index}.img`, sums: `disks/${index}.sums` };
}

/** The files of a snapshot being written, in a temporary folder. */
export class NewSnapshot {
  readonly #temporary: string;
  readonly #folder: string;
  readonly #files: Map<string, number>;
  readonly #copies: readonly (CopyFiles & { readonly size: number })[];
  readonly #ramBytes: number;

  private constructor(
    temporary: string,
    folder: string,
    files: Map<string, number>,
    copies: readonly (CopyFiles & { readonly size: number })[],
    ramBytes: number,
  ) {
    this.#temporary = temporary;
    this.#folder = folder;
    this.#files = files;
    this.#copies = copies;
    this.#ramBytes = ramBytes;
  }

  static open(
    temporary: string,
    folder: string,
    copies: readonly { readonly size: number }[],
    ramBytes: number,
  ): NewSnapshot {
    fs.mkdirSync(temporary, { mode: 0o700 });
    const files = new Map<string, number>();
    const open = (name: string, size = 0) => {
      const fd = fs.openSync(join(temporary, name), 'wx+', 0o600);
      files.set(name, fd);
      if (size > 0) fs.ftruncateSync(fd, size);
    };
    try {
      open(FILES.state);
      open(FILES.ram, ramBytes);
      open(FILES.ramSums);
      if (copies.length > 0) fs.mkdirSync(join(temporary, 'disks'), { mode: 0o700 });
      const names = copies.map(({ size }, index) => {
        const { file, sums } = copyFiles(index);
        open(file, size);
        open(sums);
        return { file, sums, size };
      });
      return new NewSnapshot(temporary, folder, files, names, ramBytes);
    } catch (error) {
      for (const fd of files.values()) fs.closeSync(fd);
      fs.rmSync(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  /** For the machine, in the order in which it receives them. */
  get fds(): number[] {
    const names = [
      FILES.state,
      FILES.ram,
      FILES.ramSums,
      ...this.#copies.flatMap(({ file, sums }) => [file, sums]),
    ];
    return names.map(name => this.#fd(name));
  }

  /**
   * Syncs everything to disk, and checks what was written.
   * @param cloned for each copy: it shares its blocks, and has no checksums
   * @param sizes of the copied files when the machine was stopped: a qcow2 image's may have grown until then
   */
  async finish(
    stateBytes: number,
    written: number,
    cloned: readonly boolean[],
    sizes: readonly number[] = this.#copies.map(({ size }) => size),
  ): Promise<Finished> {
    for (const [index, { file }] of this.#copies.entries()) fs.ftruncateSync(this.#fd(file), sizes[index]);
    for (const [index, { sums }] of this.#copies.entries()) if (cloned[index]) this.#drop(sums);
    await Promise.all(Array.from(this.#files.keys(), name => synced(join(this.#temporary, name))));
    if (stateBytes > MAX_STATE_BYTES) throw new Error(UNWRITTEN);
    return {
      state: { bytes: stateBytes, sha256: this.#digest(FILES.state, stateBytes) },
      ram: {
        written,
        identity: identify(this.#fd(FILES.ram))!,
        sums: this.#digest(FILES.ramSums, sumsBytes(this.#ramBytes)),
      },
      copies: this.#copies.map(({ file, sums }, index) => ({
        file,
        identity: identify(this.#fd(file))!,
        sums: cloned[index] ? null : this.#digest(sums, sumsBytes(sizes[index]!)),
      })),
    };
  }

  /** Gives the snapshot its name: from here on it exists, even after a power loss. */
  async commit(manifest: Manifest): Promise<void> {
    const file = join(this.#temporary, FILES.manifest);
    await fsp.writeFile(file, manifestText(manifest), { mode: 0o600 });
    await synced(file);
    if (this.#copies.length > 0) await synced(join(this.#temporary, 'disks'));
    await synced(this.#temporary);
    await fsp.rename(this.#temporary, this.#folder);
    this.#close();
    await synced(dirname(this.#folder));
  }

  /** Removes everything, unless it has its name already. */
  async discard(): Promise<void> {
    this.#close();
    await fsp.rm(this.#temporary, { recursive: true, force: true });
  }

  #fd(name: string): number {
    return this.#files.get(name)!;
  }

  /**
   * Of a file written by the machine, which the guest may have compromised: it is read only if it has the right length.
   */
  #digest(name: string, bytes: number): string {
    const fd = this.#fd(name);
    if (fs.fstatSync(fd).size !== bytes) throw new Error(UNWRITTEN);
    const buffer = Buffer.alloc(bytes);
    fs.readSync(fd, buffer, 0, bytes, 0);
    return sha256(buffer);
  }

  #drop(name: string): void {
    fs.closeSync(this.#fd(name));
    this.#files.delete(name);
    fs.rmSync(join(this.#temporary, name));
  }

  #close(): void {
    for (const fd of this.#files.values()) fs.closeSync(fd);
    this.#files.clear();
  }
}

/** The size of a file's checksums. */
export function sumsBytes(size: number): number {
  return Math.ceil(size / CHUNK_BYTES) * 4;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
