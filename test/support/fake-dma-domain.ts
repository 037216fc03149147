import { constants } from 'node:os';
import { SystemError } from '../../src/vmm/native/libc.ts';
import type { DmaDomain, DmaMapping, IovaRange } from '../../src/vmm/vfio/dma-domain.ts';

/** An IOMMU that enforces the kernel's rules: no overlaps, no reserved addresses, no partial unmapping. */
export class FakeDmaDomain implements DmaDomain {
  /** In ascending order. */
  mappings: DmaMapping[] = [];
  /** In call order: `map 0+1000 rw`, `unmap 0+1000`. */
  readonly calls: string[] = [];
  reserved: readonly IovaRange[] = [{ start: 0xfee0_0000, end: 0xfef0_0000 }];
  /** The kernel's error for a mapping; null if it succeeds. */
  refuse: (mapping: DmaMapping) => keyof typeof constants.errno | null = () => null;

  #isGone = false;

  /** The host removes the last device: nothing is mapped, and nothing can be. */
  vanish(): void {
    this.#isGone = true;
    this.mappings = [];
  }

  ranges(): readonly IovaRange[] {
    const ranges: IovaRange[] = [];
    let start = 0;
    for (const gap of this.reserved) {
      ranges.push({ start, end: gap.start });
      start = gap.end;
    }
    return [...ranges, { start, end: 2 ** 52 }];
  }

  map(mapping: DmaMapping): void {
    const { iova, size, writable } = mapping;
    this.calls.push(`map ${span(iova, size)} ${writable ? 'rw' : 'r'}`);
    const isReserved = !this.ranges().some(({ start, end }) => iova >= start && iova + size <= end);
    const overlaps = this.mappings.some(other => iova < other.iova + other.size && other.iova < iova + size);
    const refused = isReserved || this.#isGone ? 'EINVAL' : overlaps ? 'EEXIST' : this.refuse(mapping);
    if (refused !== null) throw new SystemError('ioctl VFIO_IOMMU_MAP_DMA', constants.errno[refused]);
    this.mappings = [...this.mappings, mapping].sort((a, b) => a.iova - b.iova);
  }

  unmap(iova: number, size: number): void {
    this.calls.push(`unmap ${span(iova, size)}`);
    const end = iova + size;
    const cut = this.mappings.some(
      other =>
        other.iova < end &&
        iova < other.iova + other.size &&
        (other.iova < iova || other.iova + other.size > end),
    );
    if (cut || this.#isGone) throw new SystemError('ioctl VFIO_IOMMU_UNMAP_DMA', constants.errno.EINVAL);
    this.mappings = this.mappings.filter(other => other.iova < iova || other.iova >= end);
  }

  /** `iova+size` of each mapping, in hexadecimal. */
  get places(): string[] {
    return this.mappings.map(({ iova, size }) => span(iova, size));
  }
}

function span(start: number, size: number): string {
  return `${start.toString(16)}+${size.toString(16)}`;
}
