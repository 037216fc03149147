import { bytesOf } from './size.ts';
import { UsageError } from './usage-error.ts';

/** Bytes of a size such as `512M` or `2G`; a bare number counts MiB, as QEMU's -m does. */
export function parseSize(text: string, option: string): number {
  const bytes = bytesOf(text);
  if (bytes === null) throw new UsageError(`${option} ${text}: expected a size such as 512M or 2G`);
  return bytes;
}

/** A whole number from `min` to `max`. */
export function parseCount(text: string, option: string, min: number, max: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) {
    throw new UsageError(`${option} ${text}: expected a whole number from ${min} to ${max}`);
  }
  return count;
}

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m)?$/;
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Milliseconds of a duration such as `500ms`, `2s` or `1m`; a bare number counts seconds. */
export function parseDuration(text: string, option: string, minMs: number, maxMs: number): number {
  const match = DURATION.exec(text);
  const ms = match ? Number(match[1]) * MILLISECONDS[match[2] ?? 's']! : Number.NaN;
  if (!(ms >= minMs && ms <= maxMs)) {
    throw new UsageError(
      `${option} ${text}: expected a time from ${minMs / 1000} s to ${maxMs / 1000} s, such as 500ms or 2s`,
    );
  }
  return ms;
}
