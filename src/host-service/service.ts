import { readDetails } from '../host/pci/details.ts';
import type { PciFunction } from '../host/pci/function.ts';
import type { HostRoot } from '../host/root.ts';
import { printableDeep } from '../text/printable-deep.ts';
import { functionsPart, type HostPart, hostParts, PART_ENTRIES } from './delta.ts';
import type { FunctionDetails } from './protocol.ts';
import { readHost } from './read-host.ts';
import { hasOtherCounts, hostSignature } from './signature.ts';
import { emptyHost, type HostReading } from './snapshot.ts';
import { UsageReader } from './usage.ts';

/** Reads a host for the UI, from another thread than the UI's: its reads are synchronous, and of a device may be slow. */
export class HostService {
  readonly #root: HostRoot;
  readonly #stateFolder: string;
  #known: HostReading = emptyHost;
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

  /**
   * Reads everything anew.
   * @param onPart called with functions as they are read, and with how many there are, while nothing of the host is known
   * @returns what is different from the time before, less what `onPart` was called with
   */
  async refresh(onPart?: (part: HostPart, read: number, total: number) => void): Promise<HostPart[]> {
    // Looked at first: what changes while it reads shows up as a change again.
    const signature = this.#look();
    const first = this.#known === emptyHost && onPart !== undefined;
    const sent = new Map<string, PciFunction>();
    let some: [string, PciFunction][] = [];
    const now = await readHost(this.#root, (fn, total) => {
      if (!first) return;
      some.push([fn.address, printableDeep(fn)]);
      if (some.length < PART_ENTRIES) return;
      for (const [address, one] of some) sent.set(address, one);
      onPart(functionsPart(some), sent.size, total);
      some = [];
    });
    const parts = hostParts(first ? { ...this.#known, functions: sent } : this.#known, now);
    this.#known = now;
    this.#signature = signature;
    return parts;
  }

  /** What is worth a read only for the function that is being looked at; null for one that is not there. */
  details(address: string): FunctionDetails | null {
    const fn = this.#known.functions.get(address);
    if (fn === undefined) return null;
    const { regions, capabilities } = fn;
    return printableDeep({ ...readDetails(this.#root, fn), regions, capabilities });
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
