/**
 * The messages between two hosts while a VM migrates, beside its memory and state:
 *
 *           <- ready
 *     offer ->              what the VM is
 *           <- accepted     it can run here, or `failed` with every reason
 *     (memory, in rounds; then the rest and the state, while the guest is stopped)
 *     load ->               all of it has been sent
 *           <- loaded       its machine is built, and has its state
 *     go ->                 from here on it belongs to the other host
 *           <- running
 *
 * Until `go`, either side may send `failed` or close the connection: the VM then continues where it was.
 */
import * as z from 'zod';
import { FORMAT } from '../../vmm/migration/stream.ts';
import { migrationFacts } from '../machines/machine-messages.ts';
import type { Load, Offer } from './migration-info.ts';

export type FromSource =
  | ({ readonly kind: 'offer'; readonly format: number } & Offer)
  | ({ readonly kind: 'load' } & Load)
  | { readonly kind: 'go' }
  | { readonly kind: 'failed'; readonly reason: string };

export type FromDestination =
  /** The version of vring there. */
  | { readonly kind: 'ready'; readonly version: string }
  | { readonly kind: 'accepted' }
  | { readonly kind: 'loaded' }
  | { readonly kind: 'running' }
  /** Nothing of the VM runs there. */
  | { readonly kind: 'failed'; readonly reason: string };

/** The peer has sent a message that is not valid, or out of order. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

const text = (length: number) => z.string().max(length);
const failed = z.object({ kind: z.literal('failed'), reason: text(16_384) });
/** Checked against its schema where it is used, with a message for the user. */
const config = z.custom<never>(value => typeof value === 'object' && value !== null && !Array.isArray(value));

export const offerFields = {
  version: text(100),
  from: text(256),
  name: text(64),
  as: text(64),
  definition: text(512 * 1024).nullable(),
  config,
  facts: migrationFacts,
};
export const loadFields = {
  config,
  paused: z.boolean(),
};

const fromSource = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('offer'), format: z.literal(FORMAT), ...offerFields }),
  z.object({ kind: z.literal('load'), ...loadFields }),
  z.object({ kind: z.literal('go') }),
  failed,
]);

const fromDestination = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), version: text(100) }),
  z.object({ kind: z.literal('accepted') }),
  z.object({ kind: z.literal('loaded') }),
  z.object({ kind: z.literal('running') }),
  failed,
]);

/** @throws MigrationError */
export function parseFromSource(value: unknown): FromSource {
  const { kind, format, version } = (value ?? {}) as { [key: string]: unknown };
  if (kind === 'offer' && typeof format === 'number' && format !== FORMAT)
    throw new MigrationError(
      `vring ${String(version).slice(0, 64)} sends VMs in format ${format}, and the vring there receives format ${FORMAT}: install the same version on both hosts`,
    );
  return parsed(fromSource, value) as FromSource;
}

/** @throws MigrationError */
export function parseFromDestination(value: unknown): FromDestination {
  return parsed(fromDestination, value);
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new MigrationError(
    `the other host sent a message that is not valid: ${issue!.path.join('.')}: ${issue!.message}`,
  );
}
