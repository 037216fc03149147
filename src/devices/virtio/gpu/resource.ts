import type { DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { Backing } from './backing.ts';
import { isFormat, PIXEL_BYTES } from './pixels.ts';
import type { Rect } from './protocol.ts';

/** The largest width and height in pixels. */
export const MAX_SIDE = 16_384;
/** The cost of a resource besides its pixels, so that a guest cannot have an unlimited number of small ones. */
const OVERHEAD = 512;

export type ResourceShape = {
  /** Not 0. */
  readonly id: number;
  readonly format: number;
  readonly width: number;
  readonly height: number;
};

/** A picture that the host keeps for the guest, and the guest memory from which it is filled. */
export class Resource implements ResourceShape {
  readonly id: number;
  readonly format: number;
  readonly width: number;
  readonly height: number;
  /** Row by row without gaps. */
  readonly pixels: Uint32Array;
  backing: Backing | null = null;

  /** @throws RangeError if the host has no memory for it */
  constructor({ id, format, width, height }: ResourceShape) {
    this.id = id;
    this.format = format;
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(width * height);
  }

  /** The host memory that such a resource takes, in bytes. */
  static cost({ width, height }: Pick<ResourceShape, 'width' | 'height'>): number {
    return width * height * PIXEL_BYTES + OVERHEAD;
  }

  static isPossible({ id, format, width, height }: ResourceShape): boolean {
    const isSide = (side: number) => side > 0 && side <= MAX_SIDE;
    return id !== 0 && isFormat(format) && isSide(width) && isSide(height);
  }

  /** The host memory that it takes, in bytes. */
  get cost(): number {
    return Resource.cost(this) + (this.backing?.cost ?? 0);
  }

  /**
   * Fills a rectangle inside it from its backing, in which the rectangle starts at byte `offset`, with the line stride
   * of the resource. Pixels that the backing lacks do not change. @returns the number of bytes. @throws
   * GuestMemoryError
   */
  fill({ x, y, width, height }: Rect, offset: number, memory: GuestMemory): number {
    if (this.backing === null) return 0;
    const bytes = new Uint8Array(this.pixels.buffer);
    const stride = this.width * PIXEL_BYTES;
    const reader = this.backing.reader(memory);
    const start = (y * this.width + x) * PIXEL_BYTES;
    if (width === this.width) return reader.copy(offset, bytes.subarray(start, start + height * stride));
    let copied = 0;
    for (let row = 0; row < height; row++) {
      const at = start + row * stride;
      copied += reader.copy(offset + row * stride, bytes.subarray(at, at + width * PIXEL_BYTES));
    }
    return copied;
  }

  /** Excludes the lines that equal those of its backing: usually all of them. */
  save(memory: GuestMemory): DeviceState {
    const { id, format, width, height } = this;
    const own = this.#ownLines(memory);
    const bytes = new Uint8Array(this.pixels.buffer);
    const stride = width * PIXEL_BYTES;
    const pixels = new Uint8Array(own.length * stride);
    for (const [index, y] of own.entries())
      pixels.set(bytes.subarray(y * stride, (y + 1) * stride), index * stride);
    const lines = new Uint8Array(Math.ceil(height / 8));
    for (const y of own) lines[y >> 3]! |= 1 << (y & 7);
    return { ...{ id, format, width, height, lines, pixels }, backing: this.backing?.save() ?? null };
  }

  /** @param most the limit of its cost in bytes. @throws DeviceStateError */
  static load(state: DeviceState, most: number, memory: GuestMemory): Resource {
    const number = (key: string) => numberOf(state, key, 0xffff_ffff);
    const [id, format, width, height] = ['id', 'format', 'width', 'height'].map(number);
    const shape = { id: id!, format: format!, width: width!, height: height! };
    const lines = bytesOf(state, 'lines');
    const pixels = bytesOf(state, 'pixels');
    if (!Resource.isPossible(shape) || Resource.cost(shape) > most)
      throw new DeviceStateError('resources', 'possible picture');
    const own = Array.from({ length: shape.height }, (_, y) => y).filter(
      y => ((lines[y >> 3] ?? 0) >> (y & 7)) & 1,
    );
    const stride = shape.width * PIXEL_BYTES;
    if (lines.length !== Math.ceil(shape.height / 8) || pixels.length !== own.length * stride)
      throw new DeviceStateError('pixels', 'lines of a picture');
    const resource = new Resource(shape);
    if (state.backing !== null) resource.backing = Backing.load(bytesOf(state, 'backing'));
    resource.#fillFromMemory(memory);
    const bytes = new Uint8Array(resource.pixels.buffer);
    for (const [index, y] of own.entries())
      bytes.set(pixels.subarray(index * stride, (index + 1) * stride), y * stride);
    return resource;
  }

  /** The lines that differ from those of its backing. */
  #ownLines(memory: GuestMemory): number[] {
    const bytes = Buffer.from(this.pixels.buffer);
    const stride = this.width * PIXEL_BYTES;
    const line = new Uint8Array(stride);
    const reader = this.backing?.isMemory(memory) ? this.backing.reader(memory) : null;
    return Array.from({ length: this.height }, (_, y) => y).filter(
      y =>
        (reader?.copy(y * stride, line) ?? 0) < stride ||
        bytes.compare(line, 0, stride, y * stride, (y + 1) * stride) !== 0,
    );
  }

  #fillFromMemory(memory: GuestMemory): void {
    if (this.backing?.isMemory(memory))
      this.fill({ x: 0, y: 0, width: this.width, height: this.height }, 0, memory);
  }
}
