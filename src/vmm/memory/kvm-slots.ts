import type { MemorySlot } from '../kvm/vm-fd.ts';
import type { MapListener } from './address-space.ts';
import type { DirectPiece, MapChanges } from './direct-map.ts';

/** The part of a VM that this needs. */
export interface SlotVm {
  setMemory(slot: MemorySlot): void;
}

/**
 * KVM's memory slots, which follow an address space. A piece for which there is no slot is left out: the guest exits for
 * each access to it, and the address space answers.
 */
export class KvmSlots implements MapListener {
  readonly #vm: SlotVm;
  readonly #capacity: number;
  readonly #slots = new Map<DirectPiece, number>();
  readonly #free: number[] = [];
  /** Slot numbers from here on have never been used. */
  #unused = 0;
  #waiting: readonly DirectPiece[] = [];

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

  #remove(piece: DirectPiece): void {
    const slot = this.#slots.get(piece);
    if (slot === undefined) return;
    this.#vm.setMemory({ slot, address: piece.address, size: 0, host: 0n });
    this.#slots.delete(piece);
    this.#free.push(slot);
  }

  /** @returns whether there was a slot for it */
  #add(piece: DirectPiece): boolean {
    const slot = this.#free.pop() ?? (this.#unused < this.#capacity ? this.#unused++ : null);
    if (slot === null) return false;
    const { address, size, block, offset, kind } = piece;
    this.#vm.setMemory({ slot, address, size, host: block.host + BigInt(offset), readonly: kind === 'rom' });
    this.#slots.set(piece, slot);
    return true;
  }
}
