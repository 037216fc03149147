import { type HostBlock, PAGE } from '../../devices/host-block.ts';
import type { Visible } from '../../devices/overlay.ts';
import type { MemoryRange } from './memory-range.ts';
import type { Span } from './span-memory.ts';

/** Whole pages that a guest accesses without an exit. All numbers are multiples of a page. */
export type DirectPiece = {
  /** Guest-physical. */
  readonly address: number;
  readonly size: number;
  readonly kind: 'ram' | 'rom' | 'device';
  readonly block: HostBlock;
  /** Its offset in the block. */
  readonly offset: number;
};

/** The changes of the direct pieces: removed pieces do not overlap with those that stay, and come before added ones. */
export type MapChanges = { readonly removed: readonly DirectPiece[]; readonly added: readonly DirectPiece[] };

/**
 * The block visible in [start, end) of a range, and the offset of `start` in it; null if a device model answers there.
 */
function shownBlock({ start, range }: Visible<MemoryRange>): { block: HostBlock; offset: number } | null {
  const { content, sourceOffset } = range;
  if (content.kind === 'mmio') return null;
  return { block: content.block, offset: (content.offset ?? 0) + sourceOffset + (start - range.start) };
}

/** The whole visible pages. The rest of a page shared with a device model is not direct: the guest exits for it. */
export function directPieces(view: readonly Visible<MemoryRange>[]): DirectPiece[] {
  return view.flatMap(visible => {
    const shown = shownBlock(visible);
    if (shown === null) return [];
    const address = Math.ceil(visible.start / PAGE) * PAGE;
    const size = Math.floor(visible.end / PAGE) * PAGE - address;
    if (size <= 0) return [];
    const kind = visible.range.content.kind as DirectPiece['kind'];
    return [{ address, size, kind, block: shown.block, offset: shown.offset + (address - visible.start) }];
  });
}

/** The visible memory that device models can access, to the byte. Registers of a host device are not part of it. */
export function spansOf(view: readonly Visible<MemoryRange>[]): Span[] {
  const spans: Span[] = [];
  for (const visible of view) {
    const shown = shownBlock(visible);
    if (shown === null || shown.block.registers) continue;
    const writable = visible.range.content.kind !== 'rom';
    const size = visible.end - visible.start;
    const span = { ...shown, address: visible.start, size, writable };
    const last = spans.at(-1);
    if (last !== undefined && continues(last, span))
      spans[spans.length - 1] = { ...last, size: last.size + size };
    else spans.push(span);
  }
  return spans;
}

function continues(last: Span, span: Span): boolean {
  return (
    last.block === span.block &&
    last.writable === span.writable &&
    last.address + last.size === span.address &&
    last.offset + last.size === span.offset
  );
}

/**
 * The smallest change from one list of pieces to another, both ascending.
 * @returns it, and the other list, in which unchanged pieces are the same objects as before
 */
export function changesBetween(
  before: readonly DirectPiece[],
  after: readonly DirectPiece[],
): { readonly pieces: readonly DirectPiece[]; readonly changes: MapChanges } {
  const old = new Map(before.map(piece => [piece.address, piece]));
  const pieces = after.map(piece => {
    const same = old.get(piece.address);
    return same !== undefined && isSame(same, piece) ? same : piece;
  });
  const stays = new Set(pieces);
  const was = new Set(before);
  return {
    pieces,
    changes: {
      removed: before.filter(piece => !stays.has(piece)),
      added: pieces.filter(piece => !was.has(piece)),
    },
  };
}

function isSame(a: DirectPiece, b: DirectPiece): boolean {
  return a.size === b.size && a.kind === b.kind && a.block === b.block && a.offset === b.offset;
}
