import type { DeviceState, StateValue } from '../../device.ts';
import { type GuestMemory, GuestMemoryError } from '../../guest-memory.ts';
import { DeviceStateError, statesOf } from '../../state.ts';
import { Backing, MAX_ENTRIES } from './backing.ts';
import { isInside, MEMORY_ENTRY, RESPONSE, type Rect } from './protocol.ts';
import { Resource, type ResourceShape } from './resource.ts';

const MAX_RESOURCES = 4096;

/**
 * The resources that a device keeps for its driver, by ID. Methods that change them return the type of the response.
 */
export class Resources {
  readonly #byId = new Map<number, Resource>();
  readonly #memory: GuestMemory;
  readonly #limit: number;
  #used = 0;

  /** @param limit of the host memory that they may take, in bytes */
  constructor(memory: GuestMemory, limit: number) {
    this.#memory = memory;
    this.#limit = limit;
  }

  get(id: number): Resource | null {
    return this.#byId.get(id) ?? null;
  }

  create(shape: ResourceShape): number {
    if (shape.id === 0 || this.#byId.has(shape.id)) return RESPONSE.invalidResource;
    if (!Resource.isPossible(shape)) return RESPONSE.invalidParameter;
    if (Resource.cost(shape) > this.#free || this.#byId.size === MAX_RESOURCES) return RESPONSE.outOfMemory;
    try {
      this.#add(new Resource(shape));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return RESPONSE.outOfMemory;
    }
    return RESPONSE.ok;
  }

  remove(resource: Resource): void {
    this.#used -= resource.cost;
    this.#byId.delete(resource.id);
  }

  /** @param read returns the memory entries that follow the command: at most this many bytes */
  attach(id: number, count: number, read: (bytes: number) => Uint8Array): number {
    const resource = this.get(id);
    if (resource === null) return RESPONSE.invalidResource;
    const bytes = count * MEMORY_ENTRY;
    if (resource.backing !== null || count > MAX_ENTRIES) return RESPONSE.unspecified;
    if (bytes > this.#free) return RESPONSE.outOfMemory;
    const entries = read(bytes);
    if (entries.length < bytes) return RESPONSE.unspecified;
    const backing = new Backing(entries);
    if (!backing.isMemory(this.#memory)) return RESPONSE.unspecified;
    resource.backing = backing;
    this.#used += backing.cost;
    return RESPONSE.ok;
  }

  detach(id: number): number {
    const resource = this.get(id);
    if (resource === null || resource.backing === null) return RESPONSE.invalidResource;
    this.#used -= resource.backing.cost;
    resource.backing = null;
    return RESPONSE.ok;
  }

  /** Fills a part of a resource from guest memory. @param copied called with the number of bytes */
  fill(id: number, rect: Rect, offset: number, copied: (bytes: number) => void): number {
    const resource = this.get(id);
    if (resource === null || resource.backing === null) return RESPONSE.invalidResource;
    if (!isInside(rect, resource)) return RESPONSE.invalidParameter;
    try {
      copied(resource.fill(rect, offset, this.#memory));
    } catch (error) {
      // It was memory when it was attached.
      if (!(error instanceof GuestMemoryError)) throw error;
      return RESPONSE.unspecified;
    }
    return RESPONSE.ok;
  }

  clear(): void {
    this.#byId.clear();
    this.#used = 0;
  }

  save(): StateValue[] {
    return [...this.#byId.values()].map(resource => resource.save(this.#memory));
  }

  /** The resources in `state.resources`. @throws DeviceStateError */
  load(state: DeviceState): void {
    this.clear();
    const count = Array.isArray(state.resources) ? state.resources.length : 0;
    if (count > MAX_RESOURCES) throw new DeviceStateError('resources', 'possible number of pictures');
    for (const saved of statesOf(state, 'resources', count)) {
      const resource = Resource.load(saved, this.#free, this.#memory);
      if (resource.cost > this.#free || this.#byId.has(resource.id))
        throw new DeviceStateError('resources', 'list of pictures');
      this.#add(resource);
    }
  }

  get #free(): number {
    return this.#limit - this.#used;
  }

  #add(resource: Resource): void {
    this.#byId.set(resource.id, resource);
    this.#used += resource.cost;
  }
}
