import { readDetails } from '../host/pci/details.ts';
import type { PciFunction } from '../host/pci/function.ts';
import type { HostRoot } from '../host/root.ts';
import { printableDeep } from '../text/printable-deep.ts';
import { functionsPart, type HostPart, hostParts, PART_ENTRIES } from './delta.ts';
import type { HostImages, ImageReader } from './images.ts';
import type { FunctionDetails } from './protocol.ts';
import { readHost } from './read-host.ts';
import { hasOtherCounts, hostSignature } from './signature.ts';
import { emptyHost, type HostReading } from './snapshot.ts';
import { UsageReader } from './usage.ts';

/** Reads a host for the UI on another thread: reads are synchronous, and may be slow for a device. */
export class HostService {
  readonly #root: HostRoot;
  readonly #stateFolder: string;
  #images: ImageReader | undefined;
  #known: HostReading = emptyHost;
  #signature = '';

  /** @param stateFolder the folder of the VM state */
  constructor(root: HostRoot, stateFolder: string) {
    this.#root = root;
    this.#stateFolder = stateFolder;
  }

  /** Whether a cheap check detects a change since the last refresh. */
  hasChanged(): boolean {
    return this.#look() !== this.#signature || hasOtherCounts(this.#root, this.#known);
  }

  /**
   * Reads everything again.
   * @param onPart called during the first read with functions as they are read, and the total
   * @returns the difference from the previous read, without what `onPart` received
   */
  async refresh(onPart?: (part: HostPart, read: number, total: number) => void): Promise<HostPart[]> {
    // Taken first, so that a change during the read is detected by the next check.
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

  /** The details of the function that is shown; null if it does not exist. */
  details(address: string): FunctionDetails | null {
    const fn = this.#known.functions.get(address);
    if (fn === undefined) return null;
    const { regions, capabilities } = fn;
    return printableDeep({ ...readDetails(this.#root, fn), regions, capabilities });
  }

  /** The present disk images. @param files to be read in addition to those found */
  async images(files: readonly string[]): Promise<HostImages> {
    if (this.#images === undefined) {
      // Reading definitions and images takes more code than everything else on this thread.
      const { ImageReader } = await import('./images.ts');
      this.#images ??= new ImageReader(this.#stateFolder);
    }
    return printableDeep(await this.#images.read(files));
  }

  /** A usage reader without a first sample. */
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
