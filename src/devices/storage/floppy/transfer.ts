import type { FloppyFormat } from './media.ts';
import { HEAD, MULTI_TRACK, SECTOR_CODE } from './registers.ts';

/** The address of a sector, as in its address mark. */
export type SectorId = { readonly cylinder: number; readonly head: number; readonly sector: number };

/** Sectors that are contiguous on the medium and in the image. */
type Run = { readonly first: SectorId; readonly count: number };

/** The effect of a command that transfers sectors: 82077AA data sheet §5.1.1 and tables 5-3 to 5-5. */
export class SectorTransfer {
  /** At most two. */
  readonly runs: readonly Run[];
  /** Whether the sector after the last one is missing; if not, the cylinder has ended. */
  readonly endsMissing: boolean;
  readonly #format: FloppyFormat;
  readonly #last: number;
  readonly #isMultiTrack: boolean;

  /** @param command its first byte and its eight parameters */
  constructor(command: Uint8Array, format: FloppyFormat) {
    const [first, drive, cylinder, head, sector, size, last] = command as unknown as number[];
    this.#format = format;
    this.#isMultiTrack = (first! & MULTI_TRACK) !== 0;
    this.#last = last!;
    const exists =
      size === SECTOR_CODE &&
      cylinder! < format.cylinders &&
      head! < format.heads &&
      head === ((drive! & HEAD) === 0 ? 0 : 1) &&
      sector! >= 1 &&
      sector! <= format.sectors;
    if (!exists) {
      this.runs = [];
      this.endsMissing = true;
      return;
    }
    const start = { cylinder: cylinder!, head: head!, sector: sector! };
    const end = last! < sector! ? format.sectors : Math.min(last!, format.sectors);
    this.endsMissing = last! < sector! || last! > format.sectors;
    const runs = [{ first: start, count: end - sector! + 1 }];
    const hasOther = this.#isMultiTrack && head === 0 && format.heads === 2 && !this.endsMissing;
    if (hasOther) runs.push({ first: { cylinder: cylinder!, head: 1, sector: 1 }, count: end });
    this.runs = runs;
  }

  get sectors(): number {
    return this.runs.reduce((sum, { count }) => sum + count, 0);
  }

  /** The index of a sector in the image. */
  lba({ cylinder, head, sector }: SectorId): number {
    const { heads, sectors } = this.#format;
    return (cylinder * heads + head) * sectors + sector - 1;
  }

  /** The sector with this number in the transfer. */
  at(index: number): SectorId {
    let before = 0;
    for (const { first, count } of this.runs) {
      if (index < before + count) return { ...first, sector: first.sector + index - before };
      before += count;
    }
    throw new RangeError(`the transfer has no sector ${index}`);
  }

  /** The sector that the result names after the last sector of a successful transfer: the next one (table 5-6). */
  after({ cylinder, head, sector }: SectorId): SectorId {
    if (sector !== this.#last) return { cylinder, head, sector: sector + 1 };
    if (this.#isMultiTrack && head === 0) return { cylinder, head: 1, sector: 1 };
    return { cylinder: cylinder + 1, head: this.#isMultiTrack ? 0 : head, sector: 1 };
  }
}
