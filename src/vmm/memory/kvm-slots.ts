import { type HostBlock, PAGE } from '../../devices/host-block.ts';
import type { MemorySlot } from '../kvm/vm-fd.ts';
import type { MapListener } from './address-space.ts';
import type { DirectPiece, MapChanges } from './direct-map.ts';
import type { DirtySource } from './dirty-log.ts';
import { PageSet } from './page-set.ts';

/** The required part of a VM. */
export interface SlotVm {
  setMemory(slot: MemorySlot): void;
  getDirtyLog(slot: number, pages: number): Uint32Array;
}

/**
 * KVM's memory slots, which follow an address space. A piece for which no slot is left is omitted: the guest exits for
 * each access to it, and the address space answers.
 */
export class KvmSlots implements MapListener, DirtySource {
  readonly #vm: SlotVm;
  readonly #capacity: number;
  readonly #slots = new Map<DirectPiece, number>();
  readonly #free: number[] = [];
  /** Slot numbers from here on have never been used. */
  #unused = 0;
  #waiting: readonly DirectPiece[] = [];
  /** Blocks whose slots have a log. */
  #logging: ReadonlySet<HostBlock> = new Set();
  /** Pages whose log was lost with their slot. */
  readonly #lost = new Map<HostBlock, PageSet>();

  /** @param capacity number of slots that KVM offers (KVM_CAP_NR_MEMSLOTS) */
  constructor(vm: SlotVm, capacity: number) {
    this.#vm = vm;
    this.#capacity = capacity;
  }

  commit({ removed, added }: MapChanges): void {
    for (const piece of removed) this.#remove(piece);
    const gone = new Set(removed);
    const wanted = [...this.#waiting.filter(piece => !gone.has(piece)), ...added];
    this.#waiting = wanted.filter(piece => !this.#add(piece));
  }

  setLogging(blocks: ReadonlySet<HostBlock>): void {
    const before = this.#logging;
    this.#logging = blocks;
    for (const block of before) if (!blocks.has(block)) this.#lost.delete(block);
    for (const [piece, slot] of this.#slots) {
      if (this.#isLogged(piece) !== (isWritable(piece) && before.has(piece.block))) this.#set(piece, slot);
    }
  }

  collect(block: HostBlock, into: PageSet): void {
    for (const [piece, slot] of this.#slots) {
      if (piece.block !== block || !this.#isLogged(piece)) continue;
      const pages = piece.size / PAGE;
      into.addBits(this.#vm.getDirtyLog(slot, pages), piece.offset / PAGE, pages);
    }
    const lost = this.#lost.get(block);
    if (lost !== undefined) into.addAll(lost);
    this.#lost.delete(block);
  }

  #remove(piece: DirectPiece): void {
    const slot = this.#slots.get(piece);
    if (slot === undefined) return;
    if (this.#isLogged(piece)) this.#lose(piece);
    this.#vm.setMemory({ slot, address: piece.address, size: 0, host: 0n });
    this.#slots.delete(piece);
    this.#free.push(slot);
  }

  /** All of it counts as written: a vCPU may write until the moment the slot is removed. */
  #lose({ block, offset, size }: DirectPiece): void {
    const lost = this.#lost.get(block) ?? new PageSet(block.size / PAGE);
    lost.addBytes(offset, size);
    this.#lost.set(block, lost);
  }

  /** @returns whether there was a slot for it */
  #add(piece: DirectPiece): boolean {
    const slot = this.#free.pop() ?? (this.#unused < this.#capacity ? this.#unused++ : null);
    if (slot === null) return false;
    this.#set(piece, slot);
    this.#slots.set(piece, slot);
    return true;
  }

  #set(piece: DirectPiece, slot: number): void {
    const { address, size, block, offset } = piece;
    const host = block.host + BigInt(offset);
    this.#vm.setMemory({
      slot,
      address,
      size,
      host,
      readonly: !isWritable(piece),
      logDirty: this.#isLogged(piece),
    });
  }

  #isLogged(piece: DirectPiece): boolean {
    return isWritable(piece) && this.#logging.has(piece.block);
  }
}

function isWritable({ kind }: DirectPiece): boolean {
  return kind !== 'rom';
}
