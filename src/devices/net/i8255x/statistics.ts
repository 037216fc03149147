import type { BusMaster } from '../../pci/bus-master.ts';
import { COUNTERS, OPTIONS } from './registers.ts';

/** The bytes of the counters in each format; the word that marks them complete follows. */
const BYTES = { standard: 64, extended: 76, tco: 80 } as const;
const DUMPED = 0xa005;
const DUMPED_AND_RESET = 0xa007;

/** The statistics counters of a card (§6.3.2.2). */
export class Counters {
  readonly words = new Uint32Array(COUNTERS);

  count(counter: number): void {
    this.words[counter]! += 1;
  }

  /**
   * Writes them to memory. @param options byte 6 of the configuration @param hasExtended the card has more than the
   * 82557
   */
  dump(memory: BusMaster, address: number, options: number, hasExtended: boolean, reset: boolean): void {
    const isStandard = !hasExtended || (options & OPTIONS.standardStatistics) !== 0;
    const hasTco = (options & OPTIONS.tcoStatistics) !== 0;
    const size = isStandard ? BYTES.standard : hasTco ? BYTES.tco : BYTES.extended;
    for (let at = 0; at < size; at += 4) memory.writeU32(address + at, this.words[at / 4]!);
    memory.writeU32(address + size, reset ? DUMPED_AND_RESET : DUMPED);
    if (reset) this.words.fill(0);
  }
}
