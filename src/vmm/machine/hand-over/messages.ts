/**
 * The messages between the process that has a machine and the one that takes it over, on a socket that their manager
 * has created. The guest runs until the last answer is certain to come soon:
 *
 *     offer ->             what to build the machine from
 *           <- prepared    it is built, and its vCPUs are parked
 *     state ->             the guest has stopped
 *           <- loaded
 *     go ->                from here on the machine belongs to the other process
 *
 * Until `go`, either side may send `failed` or close the socket, and the old process continues.
 */
import * as z from 'zod/mini';
import { type DiskOptions, diskCaches, diskFormats, imageFormats } from '../../../devices/backends/disk.ts';
import { MAX_CHAIN } from '../../backends/image-chain.ts';
import { CHAR_FILES, MAX_WIRE_FDS, type WireFacts } from '../../backends/net/wire.ts';
import type { DiskFacts, GivenWireFacts } from '../messages.ts';

/** The version of these messages, and of the state without the machine's own. */
export const FORMAT = 1;

export type OfferedDisk = { readonly options: DiskOptions; readonly facts: DiskFacts };

/**
 * The fds that come with it: RAM, counters, the lock of the VM's name, then disks, each with its backing files, images
 * and wires, in the order of their lists.
 */
export type Offer = {
  readonly kind: 'offer';
  readonly format: number;
  /** The version of vring that runs the machine. */
  readonly version: string;
  readonly disks: readonly OfferedDisk[];
  /** Paths of the files from which it boots. */
  readonly images: readonly string[];
  /** The networks of its devices. Absent if sent by a vring without any. */
  readonly wires?: readonly GivenWireFacts[];
};

export type FromGiver =
  | Offer
  | { readonly kind: 'state'; readonly bytes: Uint8Array }
  | { readonly kind: 'go' }
  | { readonly kind: 'failed'; readonly reason: string };

export type FromTaker =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'loaded' }
  | { readonly kind: 'failed'; readonly reason: string };

const text = (length: number) => z.string().check(z.maxLength(length));
const path = text(4096);
const count = z.int().check(z.minimum(0));
const failed = z.object({ kind: z.literal('failed'), reason: text(16_384) });

const imageFormat = z.enum(imageFormats);

const disk: z.ZodMiniType<OfferedDisk> = z.object({
  options: z.object({
    path,
    format: z.optional(z.enum(diskFormats)),
    readonly: z.boolean(),
    cache: z.enum(diskCaches),
    transient: z.optional(z.boolean()),
    label: z.optional(text(11)),
  }),
  facts: z.object({
    size: count,
    isBlockDevice: z.boolean(),
    blockSize: count,
    canDiscard: z.boolean(),
    file: text(64),
    imageFormat: z.optional(imageFormat),
    backing: z.optional(z.array(z.object({ path, format: imageFormat })).check(z.maxLength(MAX_CHAIN))),
  }),
});

/** Of every fact: a wire without one of them would be another. */
const wireFacts = {
  fds: count.check(z.maximum(MAX_WIRE_FDS)),
  header: z.enum(['virtio', 'none']),
  mtu: z.optional(count.check(z.maximum(0xffff))),
  label: text(200),
  program: z.optional(text(300)),
  interface: z.optional(text(64)),
  vhost: z.optional(
    z.object({
      devices: count.check(z.maximum(MAX_WIRE_FDS)),
      counters: count.check(z.maximum(MAX_WIRE_FDS)),
    }),
  ),
  withoutVhost: z.optional(text(300)),
  steering: z.optional(z.boolean()),
  hub: z.optional(
    z.object({
      number: count,
      ports: z.array(z.object({ label: text(200) })).check(z.maxLength(MAX_WIRE_FDS)),
    }),
  ),
  shared: z.optional(z.boolean()),
  char: z.optional(z.object({ file: z.enum(CHAR_FILES), log: z.boolean() })),
} satisfies Record<keyof WireFacts, z.ZodMiniType>;

const wire: z.ZodMiniType<GivenWireFacts> = z.object({ device: text(64), wire: z.object(wireFacts) });

const fromGiver = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('offer'),
    format: count,
    version: text(100),
    disks: z.array(disk).check(z.maxLength(256)),
    images: z.array(path).check(z.maxLength(100)),
    wires: z.optional(z.array(wire).check(z.maxLength(256))),
  }),
  z.object({ kind: z.literal('go') }),
  failed,
]);

const fromTaker = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prepared') }),
  z.object({ kind: z.literal('loaded') }),
  failed,
]);

/** The peer violates the protocol. */
export class HandOverError extends Error {
  override readonly name = 'HandOverError';
}

/** @throws HandOverError; the state comes in separate frames (channel.ts) */
export function parseFromGiver(value: unknown): Exclude<FromGiver, { kind: 'state' }> {
  return parsed(fromGiver, value) as Exclude<FromGiver, { kind: 'state' }>;
}

/** @throws HandOverError */
export function parseFromTaker(value: unknown): FromTaker {
  return parsed(fromTaker, value);
}

function parsed<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new HandOverError('the other process sent a message that is not valid');
}
