import type { MemorySlot } from '../../src/vmm/kvm/vm-fd.ts';
import type { SlotVm } from '../../src/vmm/memory/kvm-slots.ts';

const PAGE = 4096;

/** KVM's rules for memory slots (KVM_SET_USER_MEMORY_REGION), without KVM. */
export class FakeSlots implements SlotVm {
  readonly slots = new Map<number, MemorySlot>();
  readonly calls: MemorySlot[] = [];
  readonly #capacity: number;

  constructor(capacity = 512) {
    this.#capacity = capacity;
  }

  setMemory(slot: MemorySlot): void {
    this.calls.push(slot);
    const before = this.slots.get(slot.slot);
    if (slot.slot < 0 || slot.slot >= this.#capacity) throw new Error(`EINVAL: slot ${slot.slot}`);
    if (slot.address % PAGE !== 0 || slot.size % PAGE !== 0 || slot.host % 4096n !== 0n) {
      throw new Error('EINVAL: not a multiple of a page');
    }
    if (slot.size === 0) {
      if (before === undefined) throw new Error(`EINVAL: slot ${slot.slot} does not exist`);
      this.slots.delete(slot.slot);
      this.dirty.delete(slot.slot);
      return;
    }
    if (
      before !== undefined &&
      (before.size !== slot.size || before.host !== slot.host || !before.readonly !== !slot.readonly)
    ) {
      throw new Error(`EINVAL: slot ${slot.slot} exists`);
    }
    for (const [number, { address, size }] of this.slots) {
      if (number === slot.slot || address >= slot.address + slot.size || slot.address >= address + size)
        continue;
      throw new Error(`EEXIST: slot ${slot.slot} overlaps slot ${number}`);
    }
    this.slots.set(slot.slot, slot);
  }

  /** Pages that a guest has written, by slot. */
  readonly dirty = new Map<number, Set<number>>();

  /** Writes to an address as a guest would. */
  write(address: number): void {
    for (const slot of this.slots.values()) {
      const isHere = address >= slot.address && address < slot.address + slot.size;
      if (!isHere || slot.readonly || !slot.logDirty) continue;
      const pages = this.dirty.get(slot.slot) ?? new Set();
      this.dirty.set(slot.slot, pages.add(Math.floor((address - slot.address) / PAGE)));
    }
  }

  getDirtyLog(slot: number, pages: number): Uint32Array {
    const found = this.slots.get(slot);
    if (!found?.logDirty || pages * PAGE !== found.size) throw new Error(`ENOENT: no log of slot ${slot}`);
    const words = new Uint32Array(Math.ceil(pages / 64) * 2);
    for (const page of this.dirty.get(slot) ?? []) words[page >>> 5]! |= 1 << (page & 31);
    this.dirty.delete(slot);
    return words;
  }

  /** What the guest accesses at a page: `host address` and whether it is writable; null if the access exits. */
  at(page: number): { readonly host: bigint; readonly writable: boolean } | null {
    for (const { address, size, host, readonly = false } of this.slots.values()) {
      if (page >= address && page < address + size) {
        return { host: host + BigInt(page - address), writable: !readonly };
      }
    }
    return null;
  }
}
