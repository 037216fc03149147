import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../../files/make-folders.ts';
import { codeText } from '../../text/errno.ts';
import { printable } from '../../text/printable.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { FILES } from '../../vmm/snapshot/files.ts';
import {
  MAX_MANIFEST_BYTES,
  type Manifest,
  ManifestError,
  manifestText,
  parseManifest,
  SNAPSHOT_NAME,
} from '../../vmm/snapshot/manifest.ts';
import { NewSnapshot } from './new-snapshot.ts';
import { synced } from './sync.ts';

/** A VM's saved state, in the folder of its snapshots; no snapshot can have such a name. */
const SAVED = '.saved';
/** A snapshot being written. */
const NEW = '.new-';
/** A snapshot being removed. */
const OLD = '.old-';
/** The file with the name of the snapshot that a VM continues from. */
const CURRENT = '.current';

/** A snapshot on disk, which may be damaged, or a saved state. */
export type Stored = {
  readonly vm: string;
  /** Null for the VM's saved state. */
  readonly name: string | null;
  readonly folder: string;
};

/** The snapshots in a folder: `<vm>/<name>/`. */
export class SnapshotStore {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Of one VM, or of all, oldest first; without saved states. */
  list(vm?: string): Stored[] {
    const vms = vm === undefined ? namesIn(this.root) : [vm];
    // Files of definitions may have names that no VM can have.
    return vms
      .filter(name => VM_NAME.pattern.test(name))
      .flatMap(vm => {
        const names = namesIn(this.#vmFolder(vm)).filter(name => SNAPSHOT_NAME.pattern.test(name));
        const stored = names.map(name => ({ vm, name, folder: join(this.#vmFolder(vm), name) }));
        return stored.sort((a, b) => bornAt(a.folder) - bornAt(b.folder));
      });
  }

  /** @throws when there is none of this name */
  find(vm: string, name: string): Stored {
    const stored = this.list(vm);
    const found = stored.find(each => each.name === name);
    if (found !== undefined) return found;
    const others = stored.map(({ name }) => name).join(', ');
    throw new Error(
      `${printable(vm)} has no snapshot ${printable(name)}${others === '' ? ': it has none' : `: it has ${others}`}`,
    );
  }

  /** The state from which a VM resumes at its next start; null if it boots. */
  saved(vm: string): Stored | null {
    if (!VM_NAME.pattern.test(vm)) return null;
    const folder = join(this.#vmFolder(vm), SAVED);
    return fs.existsSync(folder) ? { vm, name: null, folder } : null;
  }

  /** The names of VMs that have snapshots or a saved state. */
  get vms(): string[] {
    return namesIn(this.root).filter(name => VM_NAME.pattern.test(name));
  }

  /** @throws ManifestError */
  manifest({ folder }: Pick<Stored, 'folder'>): Manifest {
    const file = join(folder, FILES.manifest);
    let size: number;
    try {
      size = fs.statSync(file).size;
    } catch (error) {
      throw new ManifestError(
        (error as NodeJS.ErrnoException).code === 'ENOENT'
          ? `${FILES.manifest} is missing`
          : `${FILES.manifest} cannot be read: ${codeText((error as NodeJS.ErrnoException).code)}`,
      );
    }
    if (size > MAX_MANIFEST_BYTES) throw new ManifestError(`${FILES.manifest} is not valid: it is too large`);
    return parseManifest(fs.readFileSync(file, 'utf8'));
  }

  /** Rewrites a manifest after a change of what it records about outside files. */
  async rewriteManifest({ folder }: Stored, manifest: Manifest): Promise<void> {
    const file = join(folder, FILES.manifest);
    await fsp.writeFile(`${file}.new`, manifestText(manifest), { mode: 0o600 });
    await synced(`${file}.new`);
    await fsp.rename(`${file}.new`, file);
  }

  /** The bytes that a snapshot takes on disk, including blocks that its copies share with a disk. */
  usage({ folder }: Stored): number {
    const sizes = filesBelow(folder).map(
      file => (fs.statSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * 512,
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** The snapshot that the VM's next one continues; null if none. */
  current(vm: string): string | null {
    try {
      const name = fs.readFileSync(join(this.#vmFolder(vm), CURRENT), 'utf8').trim();
      return this.list(vm).some(stored => stored.name === name) ? name : null;
    } catch {
      return null;
    }
  }

  setCurrent(vm: string, name: string): void {
    fs.writeFileSync(join(this.#vmFolder(vm), CURRENT), `${name}\n`, { mode: 0o600 });
  }

  /**
   * Opens the files of a new snapshot, which gets its name once complete. @param name null for the VM's saved state
   * @throws when the name is taken or not allowed
   */
  create(
    vm: string,
    name: string | null,
    copies: readonly { readonly size: number }[],
    ramBytes: number,
  ): NewSnapshot {
    if (name !== null && !SNAPSHOT_NAME.pattern.test(name))
      throw new Error(
        `"${printable(name)}" cannot be the name of a snapshot: expected ${SNAPSHOT_NAME.rule}`,
      );
    const parent = this.#vmFolder(vm);
    const folder = join(parent, name ?? SAVED);
    if (fs.existsSync(folder))
      throw new Error(
        name === null
          ? `${vm} has a saved state already: start it, or discard that with vring vm start --discard-saved`
          : `${vm} has a snapshot ${name} already: choose another name, or delete that one`,
      );
    makeFolders(parent, 0o700);
    const temporary = join(parent, `${NEW}${randomBytes(6).toString('hex')}`);
    return NewSnapshot.open(temporary, folder, copies, ramBytes);
  }

  /** Removes a snapshot or a saved state. A VM that was restored from it keeps running. */
  async remove({ folder }: Stored): Promise<void> {
    const parent = join(folder, '..');
    const old = join(parent, `${OLD}${randomBytes(6).toString('hex')}`);
    await fsp.rename(folder, old);
    await synced(parent);
    await fsp.rm(old, { recursive: true, force: true });
    this.#removeIfEmpty(parent);
  }

  /** Moves the snapshots of a renamed VM. @throws when the new name has some already */
  rename(from: string, to: string): void {
    const [source, target] = [this.#vmFolder(from), this.#vmFolder(to)];
    if (!fs.existsSync(source)) return;
    this.#removeIfEmpty(target);
    if (fs.existsSync(target))
      throw new Error(
        `there are snapshots of a deleted VM ${to}: delete them with vring vm delete-snapshot ${to} --all, or choose another name`,
      );
    fs.renameSync(source, target);
  }

  /** Removes unfinished files of a manager that died. */
  sweep(): void {
    for (const vm of this.vms)
      for (const name of namesIn(this.#vmFolder(vm)))
        if (name.startsWith(NEW) || name.startsWith(OLD))
          fs.rmSync(join(this.#vmFolder(vm), name), { recursive: true, force: true });
  }

  #vmFolder(vm: string): string {
    // The check also keeps a name from leading out of the folder.
    if (!VM_NAME.pattern.test(vm))
      throw new Error(`"${printable(vm)}" cannot be the name of a VM: expected ${VM_NAME.rule}`);
    return join(this.root, vm);
  }

  #removeIfEmpty(folder: string): void {
    if (namesIn(folder).every(name => name === CURRENT)) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Empty if there is no such folder. */
function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

function filesBelow(folder: string): string[] {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

function bornAt(folder: string): number {
  const stats = fs.statSync(join(folder, FILES.state), { throwIfNoEntry: false });
  return stats?.mtimeMs ?? 0;
}
