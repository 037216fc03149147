import { type PciDetails, readDetails } from '../host/pci/details.ts';
import type { HostRoot } from '../host/root.ts';
import { printableDeep } from '../text/printable-deep.ts';
import { type HostPart, hostParts } from './delta.ts';
import { readHost } from './read-host.ts';
import { hasOtherCounts, hostSignature } from './signature.ts';
import { emptyHost, type HostSnapshot } from './snapshot.ts';
import { UsageReader } from './usage.ts';

/** Reads a host for the UI, from another thread than the UI's: its reads are synchronous, and of a device may be slow. */
export class HostService {
  readonly #root: HostRoot;
  readonly #stateFolder: string;
  #known: HostSnapshot = emptyHost;
  #signature = '';

  /** @param stateFolder where the state of VMs is kept */
  constructor(root: HostRoot, stateFolder: string) {
    this.#root = root;
    this.#stateFolder = stateFolder;
  }

  /** Has anything happened since the last refresh that is cheap to notice? */
  hasChanged(): boolean {
    return this.#look() !== this.#signature || hasOtherCounts(this.#root, this.#known);
  }

  /** Reads everything anew. @returns what is different from the time before */
  async refresh(): Promise<HostPart[]> {
    // Looked at first: what changes while it reads shows up as a change again.
    const signature = this.#look();
    const now = await readHost(this.#root);
    const parts = hostParts(this.#known, now);
    this.#known = now;
    this.#signature = signature;
    return parts;
  }

  /** What is worth a read only for the function that is being looked at; null for one that is not there. */
  details(address: string): PciDetails | null {
    const fn = this.#known.functions.get(address);
    return fn === undefined ? null : printableDeep(readDetails(this.#root, fn));
  }

  /** A usage reader; its first reading is still to come. */
  usage(): UsageReader {
    return new UsageReader(this.#root, this.#stateFolder);
  }

  #look(): string {
    try {
      return hostSignature(this.#root);
    } catch (error) {
      return (error as Error).message;
    }
  }
}
