import { createHash } from 'node:crypto';
import * as z from 'zod';
import { MAX_CHAIN } from '../backends/image-chain.ts';
import { machineConfig } from '../machine/config.ts';
import { VM_NAME } from '../machine/vm-name.ts';
import { FILES } from './files.ts';

/** The version of a snapshot's files. It increases with changes that another version could misunderstand. */
export const FORMAT = 1;

/** Longest manifest that is read. */
export const MAX_MANIFEST_BYTES = 4 * 2 ** 20;

export const SNAPSHOT_NAME = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  rule: 'a letter or digit, followed by letters, digits, ".", "_" and "-", at most 63 characters',
} as const;

const count = z.int().min(0);
const text = z.string().max(4096);
const digits = z.string().regex(/^\d{1,20}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const identity = z.strictObject({ size: count, ino: digits, mtime: digits, ctime: digits });

const disk = z.strictObject({
  path: text,
  readonly: z.boolean(),
  isBlockDevice: z.boolean(),
  /** Bytes. */
  size: count,
  /** The disk itself, as the snapshot left it. */
  identity,
  /** The backing files of a qcow2 image, from the top of the chain down: they are in no snapshot. Default: none. */
  backing: z
    .array(z.strictObject({ path: text, identity }))
    .max(MAX_CHAIN)
    .exactOptional(),
  /**
   * Its copy in the snapshot. Without checksums it shares its blocks with the disk, and only its identity is checked.
   */
  copy: z.strictObject({ file: text, identity, sums: sha256.nullable() }).nullable(),
});

const manifest = z.strictObject({
  format: z.literal(FORMAT),
  /** The version of vring that wrote it. */
  vring: text,
  /** The names of the VM and the snapshot at that time. */
  vm: text,
  name: text,
  /** `save`: the VM ended with it, and continues from it at its next start. */
  kind: z.enum(['snapshot', 'save']),
  /** A `save` by a manager that was ending: the next one starts the VM. */
  automatic: z.boolean(),
  /** Milliseconds since 1970. */
  createdAt: z.number(),
  /** The snapshot from which the VM was restored, or that was taken of it before. */
  parent: text.nullable(),
  /** Whether its user had paused it. */
  paused: z.boolean(),
  config: z.custom<z.output<typeof machineConfig>>(),
  /** The text of its definition at that time; null if it had none. */
  definition: z
    .string()
    .max(2 ** 20)
    .nullable(),
  cpu: z.strictObject({ vendor: text, features: z.array(text).max(1000) }),
  state: z.strictObject({ bytes: count, sha256 }),
  /** `bytes` of guest RAM, of which `written` are in the file. */
  ram: z.strictObject({ bytes: count, written: count, identity, sums: sha256 }),
  disks: z.array(disk).max(64),
});

export type Manifest = z.output<typeof manifest>;
export type SavedDisk = z.output<typeof disk>;

/** A manifest that cannot be used; the message gives the reason, to follow the snapshot's name. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/** The text of a manifest's file, including its checksum. */
export function manifestText(value: Manifest): string {
  return `${JSON.stringify({ ...value, checksum: checksumOf(value) }, null, 1)}\n`;
}

/** @throws ManifestError */
export function parseManifest(content: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new ManifestError(`${FILES.manifest} is truncated or damaged`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ManifestError(`${FILES.manifest} is damaged`);
  const { checksum, ...rest } = value as Record<string, unknown>;
  if (typeof rest.format === 'number' && rest.format !== FORMAT)
    throw new ManifestError(
      `it was written by vring ${String(rest.vring).slice(0, 64)} in format ${rest.format}, and this vring reads format ${FORMAT}: use that version`,
    );
  if (checksum !== checksumOf(rest)) throw new ManifestError(`${FILES.manifest} was edited or is damaged`);
  const parsed = manifest.safeParse(rest);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ManifestError(`${FILES.manifest} is not valid: ${issue!.path.join('.')}: ${issue!.message}`);
  }
  return { ...parsed.data, config: configOf(rest.config) };
}

/** The most frequent mismatch is a device or option that this version does not know. */
function configOf(value: unknown): Manifest['config'] {
  const parsed = machineConfig.safeParse(value);
  if (parsed.success && VM_NAME.pattern.test(parsed.data.name)) return parsed.data;
  const [issue] = parsed.error?.issues ?? [];
  const what = issue === undefined ? '' : `: ${issue.path.join('.')}: ${issue.message}`;
  throw new ManifestError(`this version of vring cannot build its machine${what}`);
}

/** Of the JSON text, with keys in the order in which they were written. */
function checksumOf(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
