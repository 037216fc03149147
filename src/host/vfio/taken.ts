import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { replaceFile } from '../../files/replace-file.ts';
import { stateFolder } from '../../files/state-folder.ts';
import { formatAddress, parseAddress } from '../pci/address.ts';
import { currentBootId } from '../process-identity.ts';
import type { HostRoot } from '../root.ts';

const address = z.string().refine(text => {
  const parsed = parseAddress(text);
  return parsed !== null && formatAddress(parsed) === text;
}, 'expected a PCI address');
const driver = z.string().regex(/^[\w-]{1,64}$/, 'expected the name of a driver');

const settings = z.strictObject({
  mac: z.string().exactOptional(),
  vlan: z.int().exactOptional(),
  qos: z.int().exactOptional(),
  trust: z.boolean().exactOptional(),
  spoofCheck: z.boolean().exactOptional(),
});

const schema = z.strictObject({
  version: z.literal(1),
  address,
  /** `8086:10ca`: by the time it is given back, another device may be at the address. */
  id: z.string(),
  /** Its IOMMU group; null if none. */
  group: z.int().nullable(),
  bootId: z.string(),
  /** The name of the VM. */
  vm: z.string(),
  /** Its name in the VM; null if it only came along with the rest of its IOMMU group. */
  device: z.string().nullable(),
  /** The interface that it is open through; null if not open yet, or if it only came along. */
  api: z.enum(['group', 'iommufd']).nullable(),
  /** It stays bound to its VFIO driver when the VM ends. */
  keep: z.boolean(),
  /** No IOMMU limits its DMA. */
  noIommu: z.literal(true).exactOptional(),
  /** The VFIO driver that it is bound to for the VM. */
  driver,
  /** Its earlier state: its driver, null for none, and its `driver_override`, '' for none. */
  before: z.strictObject({ driver: driver.nullable(), override: z.union([driver, z.literal('')]) }),
  /** Settings of a VF that were changed on its physical function; null if none. */
  vf: z
    .strictObject({ physicalFunction: address, index: z.int().min(0), before: settings, set: settings })
    .nullable(),
});

/** A PCI function that vring has taken from the host for a VM, and the state to restore. */
export type TakenDevice = z.output<typeof schema>;

/** One file per device in the state folder, from before the first change until everything is undone. */
export function takenFolder(env: NodeJS.ProcessEnv = process.env, uid = process.getuid!()): string {
  return join(stateFolder(env, uid), 'taken-devices');
}

/** Whether vring bound it, and so must return it. */
export function isMoved({ driver, before }: Pick<TakenDevice, 'driver' | 'before'>): boolean {
  return before.driver !== driver;
}

/** The records of a state folder. */
export class TakenDevices {
  readonly folder: string;

  constructor(folder = takenFolder()) {
    this.folder = folder;
  }

  /**
   * By address. Records of an earlier boot of the host are removed: nothing is left of what they describe.
   * @param problem called with a sentence for each record that cannot be read
   */
  list(problem: (text: string) => void = () => {}, bootId = currentBootId()): TakenDevice[] {
    return namesIn(this.folder).flatMap(name => {
      const file = join(this.folder, name);
      const taken = parse(textOf(file), name);
      if (typeof taken === 'string') {
        problem(
          `${file} is ignored: ${taken}; if a device is not with the host, vring vfio unbind returns it`,
        );
        return [];
      }
      if (taken.bootId === bootId) return [taken];
      this.remove(taken.address);
      return [];
    });
  }

  /** Creates or replaces a record. @throws if it cannot be stored: nothing may be changed then */
  write(taken: TakenDevice): void {
    replaceFile(this.#file(taken.address), `${JSON.stringify(taken, null, 2)}\n`, {
      mode: 0o600,
      fresh: true,
    });
  }

  remove(address: string): void {
    rmSync(this.#file(address), { force: true });
  }

  #file(address: string): string {
    return join(this.folder, `${address}.json`);
  }
}

/**
 * The VMs that have devices, by the devices' addresses, from the records of the user's state folder that this user can
 * read.
 */
export function vmsByTaken(root: HostRoot): ReadonlyMap<string, string> {
  const folder = takenFolder();
  try {
    const names = (root.list(folder) ?? []).filter(isRecord);
    const found = names.map(name => parse(root.text(join(folder, name)), name));
    const taken = found.filter(each => typeof each !== 'string');
    return new Map(
      taken.filter(({ bootId }) => bootId === currentBootId()).map(({ address, vm }) => [address, vm]),
    );
  } catch {
    // They belong to root.
    return new Map();
  }
}

/** @returns why it is not valid, in a few words */
function parse(text: string | null, name: string): TakenDevice | string {
  if (text === null) return 'it cannot be read';
  try {
    const taken = schema.parse(JSON.parse(text));
    return `${taken.address}.json` === name ? taken : `it is about ${taken.address}`;
  } catch {
    return 'it is damaged';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(isRecord).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isRecord(name: string): boolean {
  return !name.startsWith('.') && name.endsWith('.json');
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
