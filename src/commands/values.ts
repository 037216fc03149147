import { bytesOf } from '../text/size.ts';
import { UsageError } from '../text/usage-error.ts';

/** What --disk says, as a device's configuration. */
export type DiskOption = { type: 'virtio-blk'; path: string } & Record<string, unknown>;

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

/** Milliseconds of a length of time such as `500ms`, `2s` or `1m`; a bare number counts seconds. */
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

/** `-cx16,-xsave` → the names to take away. */
export function parseCpuFeatures(text: string): { remove: string[] } {
  const remove = text
    .split(',')
    .filter(item => item !== '')
    .map(item => {
      if (/^-[a-z0-9_.]+$/i.test(item)) return item.slice(1).toLowerCase();
      throw new UsageError(
        `--cpu-features ${item}: expected feature names with a leading "-", such as -cx16,-xsave; ` +
          'the guest gets every feature that KVM has, less these',
      );
    });
  if (remove.length === 0)
    throw new UsageError('--cpu-features: expected feature names such as -cx16,-xsave');
  return { remove };
}

/** `disk.img,format=raw,readonly` as a virtio-blk device's options. The path may not contain a comma. */
export function parseDisk(text: string): DiskOption {
  const [path, ...settings] = text.split(',');
  if (!path) throw new UsageError(`--disk ${text}: expected a path first, as in --disk disk.img,readonly`);
  const options: Record<string, unknown> = {};
  for (const setting of settings) {
    const [key = '', value] = splitOnce(setting, '=');
    if (key in options) throw new UsageError(`--disk ${text}: ${key} is given twice`);
    options[key] = diskSetting(text, key, value);
  }
  return { type: 'virtio-blk', path, ...options };
}

function diskSetting(disk: string, key: string, value: string | undefined): unknown {
  switch (key) {
    case 'format':
      if (value === 'raw') return value;
      throw new UsageError(
        `--disk ${disk}: format takes raw, not ${value || 'nothing'}; \`qemu-img convert -O raw\` makes a raw disk of others`,
      );
    case 'serial':
      if (value) return value;
      throw new UsageError(`--disk ${disk}: serial needs a value, as in serial=D1`);
    case 'cache':
      if (value === 'writeback' || value === 'none') return value;
      throw new UsageError(`--disk ${disk}: cache takes writeback or none, not ${value ?? 'nothing'}`);
    case 'queues':
      return parseCount(value ?? '', `--disk ${disk}: queues`, 1, 16);
    case 'readonly':
      if (value === undefined || value === 'on') return true;
      if (value === 'off') return false;
      throw new UsageError(`--disk ${disk}: readonly takes on or off, not ${value}`);
    default:
      throw new UsageError(
        `--disk ${disk}: no setting "${key}"; there are format, readonly, cache, serial, queues`,
      );
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
