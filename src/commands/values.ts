import {
  diskCaches,
  diskErrorActions,
  diskFormats,
  FAT_LABEL,
  FAT_LABEL_RULE,
  limitsProblem,
  zeroDetections,
} from '../devices/backends/disk.ts';
import { splitCommas } from '../text/commas.ts';
import { parseCount, parseSize } from '../text/option-values.ts';
import { UsageError } from '../text/usage-error.ts';

/** A --disk option as a device configuration. */
export type DiskOption = { type: 'virtio-blk'; path: string } & Record<string, unknown>;

/** `-cx16,-xsave` → the names to remove. */
export function parseCpuFeatures(text: string): { remove: string[] } {
  const remove = text
    .split(',')
    .filter(item => item !== '')
    .map(item => {
      if (/^-[a-z0-9_.]+$/i.test(item)) return item.slice(1).toLowerCase();
      throw new UsageError(
        `--cpu-features ${item}: expected feature names with a leading "-", such as -cx16,-xsave; ` +
          'the guest gets every feature that KVM supports except these',
      );
    });
  if (remove.length === 0)
    throw new UsageError('--cpu-features: expected feature names such as -cx16,-xsave');
  return { remove };
}

/** `disk.img,format=raw,readonly` as a virtio-blk device's options. A comma in the path is doubled. */
export function parseDisk(text: string): DiskOption {
  const [path, ...settings] = splitCommas(text);
  if (!path) throw new UsageError(`--disk ${text}: expected a path first, as in --disk disk.img,readonly`);
  const options: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  for (const setting of settings) {
    const [key = '', value] = splitOnce(setting, '=');
    const into = LIMITS.test(key) ? limits : options;
    if (Object.hasOwn(into, key)) throw new UsageError(`--disk ${text}: ${key} is given twice`);
    into[key] = diskSetting(text, key, value);
  }
  const problem = limitsProblem(limits);
  if (problem !== null) throw new UsageError(`--disk ${text}: ${problem.key}: ${problem.message}`);
  return {
    type: 'virtio-blk',
    path,
    ...options,
    ...(Object.keys(limits).length > 0 && { limits }),
  };
}

const LIMITS = /^(iops|bps)(-burst)?$/;

function diskSetting(disk: string, key: string, value: string | undefined): unknown {
  switch (key) {
    case 'format':
      if (diskFormats.some(format => format === value)) return value;
      throw new UsageError(
        `--disk ${disk}: format takes ${diskFormats.join(', ')}, not ${value || 'nothing'}; \`vring image convert\` converts other image formats`,
      );
    case 'label':
      if (FAT_LABEL.test(value ?? '')) return value;
      throw new UsageError(`--disk ${disk}: label takes ${FAT_LABEL_RULE}`);
    case 'serial':
      if (value) return value;
      throw new UsageError(`--disk ${disk}: serial needs a value, as in serial=D1`);
    case 'cache':
      return oneOf(disk, key, value, diskCaches);
    case 'discard':
      return oneOf(disk, key, value, ['unmap', 'ignore']);
    case 'detect-zeroes':
      return oneOf(disk, key, value, zeroDetections);
    case 'rerror':
      return oneOf(disk, key, value, ['report', 'ignore', 'stop']);
    case 'werror':
      return oneOf(disk, key, value, diskErrorActions);
    case 'iops':
    case 'iops-burst':
      return parseCount(value ?? '', `--disk ${disk}: ${key}`, 1, 2 ** 50);
    case 'bps':
    case 'bps-burst':
      return parseSize(value ?? '', `--disk ${disk}: ${key}`);
    case 'queues':
      return parseCount(value ?? '', `--disk ${disk}: queues`, 1, 16);
    case 'readonly':
    case 'transient':
      if (value === undefined || value === 'on') return true;
      if (value === 'off') return false;
      throw new UsageError(`--disk ${disk}: ${key} takes on or off, not ${value}`);
    default:
      throw new UsageError(
        `--disk ${disk}: unknown setting "${key}"; expected format, label, readonly, transient, cache, discard, detect-zeroes, rerror, werror, serial, queues, iops, iops-burst, bps or bps-burst`,
      );
  }
}

function oneOf(disk: string, key: string, value: string | undefined, values: readonly string[]): string {
  if (value !== undefined && values.includes(value)) return value;
  throw new UsageError(`--disk ${disk}: ${key} takes ${values.join(', ')}, not ${value || 'nothing'}`);
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
