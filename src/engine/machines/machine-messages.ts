import * as z from 'zod';
import { BACKEND_KINDS } from '../../devices/backends/backend-type.ts';
import type { ScreenResize } from '../../devices/display/monitor-size.ts';
import type { ScreenUpdate } from '../../devices/display/screen-frame.ts';
import { BALLOON_STATS } from '../../devices/virtio/balloon/facts.ts';
import { MAX_CHAIN } from '../../vmm/backends/image-chain.ts';
import { LAYER_NAMES } from '../../vmm/confinement/layer.ts';
import { MAX_STATISTICS } from '../../vmm/counters/counters.ts';
import { MAX_ROOT_PORTS } from '../../vmm/machine/config.ts';
import { MAX_CONSOLES } from '../../vmm/machine/console-ports.ts';
import type {
  DiskLabel,
  FromMachine,
  MachineIdentity,
  MigrationFacts,
  PluggedIn,
  SentMachine,
  VcpusSet,
  WrittenSnapshot,
} from '../../vmm/machine/messages.ts';
import type { Topology } from '../../vmm/machine/topology.ts';

/** The most counter blocks that a machine may label. How many it has depends on its configuration, and is less. */
export const MAX_QUEUES = 4096;
export const MAX_REGIONS = 4096;

/** The longest screen update, in base64: more than a machine sends in one message. */
const MAX_UPDATE_CHARACTERS = 2 * 2 ** 20;

const name = z.string().max(200);
const sentence = z.string().max(16_384);
const count = z.int().min(0);
const bytes = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
/** The largest time value of a Date, in milliseconds. */
const MAX_TIME = 8.64e15;
/** The most devices of a machine. */
const MAX_DEVICES = 256;

/** The most vCPUs of a machine. */
const MAX_VCPUS = 64;

/** BARs 0 to 5 and the expansion ROM. */
const MAX_BARS = 7;

const hostDevice = z.object({
  address: name,
  api: z.enum(['group', 'iommufd']),
  reset: name,
  bars: z
    .array(
      z.object({
        index: count.max(MAX_BARS - 1),
        kind: z.enum(['memory', 'io', 'rom']),
        size: bytes,
        address: name.nullable(),
        mapped: bytes,
        prefetchable: z.boolean(),
      }),
    )
    .max(MAX_BARS),
  interrupts: z.object({
    kind: z.enum(['none', 'intx', 'msi', 'msix']),
    vectors: count.max(2048),
    enabled: count.max(2048),
  }),
  mappings: z.object({ bytes, count }),
});

const balloon = z.object({
  memory: bytes,
  target: bytes,
  current: bytes,
  active: z.boolean(),
  stats: z
    .object({ at: z.int().min(0).max(MAX_TIME) })
    .extend(Object.fromEntries(BALLOON_STATS.map(stat => [stat, bytes.exactOptional()])))
    .nullable(),
  obstacle: sentence.nullable(),
});

/** A name or an address that may end up in a configuration. */
const short = z.string().max(64);
const places = z.object({
  rootPorts: z.array(short).max(MAX_ROOT_PORTS),
  devices: z.array(z.object({ name: short, bus: short, addr: short.nullable() })).max(MAX_DEVICES),
});

const topology = z.object({
  shape: z.object({ vcpus: count, queues: count, regions: count }),
  queues: z
    .array(z.object({ id: count, slot: count, device: name, type: name, queue: name, size: count }))
    .max(MAX_QUEUES),
  regions: z
    .array(
      z.object({
        id: count,
        index: count,
        device: name,
        space: z.enum(['port', 'memory']),
        start: z.number(),
        size: z.number(),
      }),
    )
    .max(MAX_REGIONS),
  statistics: z
    .array(z.object({ id: count, index: count.max(MAX_STATISTICS - 1), device: name, name }))
    .max(MAX_STATISTICS)
    .optional(),
  devices: z
    .array(
      z.object({
        name,
        type: name,
        title: name,
        backend: z.enum(BACKEND_KINDS).nullable(),
        bus: name,
        address: name.nullable(),
        facts: z
          .array(
            z.object({
              label: name,
              value: z.union([z.string().max(4096), z.number(), z.boolean()]),
              unit: z.literal('bytes').optional(),
            }),
          )
          .max(100),
        hostDevice: hostDevice.optional(),
        balloon: balloon.optional(),
        drive: z.literal(true).exactOptional(),
        screen: z.literal(true).exactOptional(),
        removing: z.int().min(0).max(MAX_TIME).exactOptional(),
        fixed: z.literal(true).exactOptional(),
      }),
    )
    .max(MAX_DEVICES),
  consoles: z
    .array(z.object({ port: count, name, agent: z.literal(true).exactOptional() }))
    .max(MAX_CONSOLES),
  serialFirst: z.literal(true).exactOptional(),
  vcpus: count,
  vcpuLabels: z
    .array(
      z.object({
        index: count.max(MAX_VCPUS - 1),
        adding: z.literal(true).exactOptional(),
        removing: z.int().min(0).max(MAX_TIME).exactOptional(),
      }),
    )
    .max(MAX_VCPUS)
    .exactOptional(),
  pinning: z.array(count).max(MAX_VCPUS),
  places: places.exactOptional(),
  pluggingIn: z.array(short).max(MAX_DEVICES).exactOptional(),
}) as unknown as z.ZodType<Topology>;

const layers = z
  .array(
    z.object({
      name: z.enum(LAYER_NAMES),
      state: z.enum(['on', 'off', 'unavailable']),
      reason: sentence.nullable(),
    }),
  )
  .max(2 * LAYER_NAMES.length);

const event = z.object({
  at: z.int().min(0).max(MAX_TIME),
  level: z.enum(['info', 'warning', 'error']),
  text: sentence,
});

const byDevice = z
  .record(name, sentence)
  .refine(devices => Object.keys(devices).length <= MAX_DEVICES, 'too many devices');

const end = z.object({
  crashed: z.boolean(),
  reason: sentence,
  detail: z.string().max(65_536).nullable(),
  exitCode: z.int().nullable(),
});

const identity = z.object({
  protocol: z.int(),
  version: name,
  token: name,
});

const rate = z.number().min(0);
const migration = z.object({
  round: count,
  left: bytes,
  bytesPerSecond: rate.optional(),
  dirtyBytesPerSecond: rate.optional(),
  downtimeMs: rate.optional(),
  isFutile: z.boolean().optional(),
  isStopped: z.boolean().optional(),
});

const progress = z.object({
  done: bytes,
  total: bytes,
  written: bytes,
  waitingFor: z.array(name).max(MAX_DEVICES),
  migration: migration.optional(),
});

const diskLabel = {
  path: sentence,
  readonly: z.boolean(),
  isBlockDevice: z.boolean(),
  size: z.int().min(0),
  transient: z.boolean().exactOptional(),
};
const disks = z.array(z.object(diskLabel)).max(MAX_DEVICES);

/** What changed on a screen. */
export const screenUpdate = z
  .object({
    seen: z.object({ epoch: count, version: count, part: count }),
    update: z.string().max(MAX_UPDATE_CHARACTERS),
  })
  .nullable();

const digits = z.string().regex(/^\d{1,20}$/);
const fileIdentity = z.object({ size: z.int().min(0), ino: digits, mtime: digits, ctime: digits });
const cpu = z.object({ vendor: name, features: z.array(name).max(1000) });
const identifiedDisks = z
  .array(
    z.object({
      ...diskLabel,
      identity: fileIdentity,
      backing: z
        .array(z.object({ path: z.string().max(4096), identity: fileIdentity }))
        .max(MAX_CHAIN)
        .exactOptional(),
    }),
  )
  .max(MAX_DEVICES);
const written = z.object({
  stateBytes: z.int().min(1),
  written: z.int().min(0),
  cpu,
  places: places.exactOptional(),
  disks: identifiedDisks,
  cloned: z.array(z.boolean()).max(MAX_DEVICES),
});

const messages = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('created'), vm: z.int() }),
  z.object({ kind: z.literal('topology'), topology }),
  z.object({ kind: z.literal('confinement'), layers }),
  z.object({
    kind: z.literal('state'),
    state: z.enum(['starting', 'running', 'paused', 'suspended']),
    reason: z.string().max(1000).optional(),
  }),
  z.object({ kind: z.literal('broken'), broken: byDevice }),
  z.object({ kind: z.literal('disk-errors'), diskErrors: byDevice }),
  z.object({ kind: z.literal('snapshot'), progress: progress.nullable() }),
  z.object({ kind: z.literal('event'), event }),
  z.object({ kind: z.literal('input-taken'), port: count, bytes: count }),
  z.object({
    kind: z.literal('reply'),
    id: count,
    error: sentence.nullable(),
    result: z.unknown(),
  }),
  z.object({ kind: z.literal('handed-over') }),
  z.object({ kind: z.literal('taken-over'), from: name, stoodStillMs: z.number().min(0) }),
  z.object({ kind: z.literal('ending'), end }),
  z.object({ kind: z.literal('ended'), end }),
]);

/** A machine's message, checked as if a hostile guest had made it. @throws when it is invalid */
export function parseFromMachine(value: unknown): Exclude<FromMachine, { kind: 'hello' }> {
  const parsed = messages.safeParse(value);
  if (parsed.success) return parsed.data as Exclude<FromMachine, { kind: 'hello' }>;
  throw new Error('the machine sent a message that is not valid');
}

const INVALID = 'the machine sent an answer that is not valid';

/** The answer to the command `disks`, checked likewise. @throws when it is invalid */
export function parseDisks(value: unknown): readonly DiskLabel[] {
  const parsed = disks.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

/** The answer to the command `snapshot`. @throws when it is invalid */
export function parseWritten(value: unknown): WrittenSnapshot {
  const parsed = written.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

/** What another host is told of a machine, for its own check of it, too. */
export const migrationFacts = z.object({ cpu, tscKhz: count, places, disks: identifiedDisks });
const sentMachine = z.object({
  places,
  stateBytes: z.int().min(1),
  rounds: count,
  sent: bytes,
  stoppedForMs: z.number().min(0),
});

/** The answer to the command `migration-facts`. @throws when it is invalid */
export function parseMigrationFacts(value: unknown): MigrationFacts {
  const parsed = migrationFacts.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

/** The answer to the command `migrate`. @throws when it is invalid */
export function parseSentMachine(value: unknown): SentMachine {
  const parsed = sentMachine.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

const pluggedIn = z.object({ bus: short, addr: short, noticed: z.boolean() });

/**
 * The answer to the command `screen`, checked likewise; the update's content is checked where it is applied. @throws
 * when it is invalid
 */
export function parseScreenUpdate(value: unknown): ScreenUpdate | null {
  const parsed = screenUpdate.safeParse(value);
  if (!parsed.success) throw new Error(INVALID);
  if (parsed.data === null) return null;
  return { seen: parsed.data.seen, update: Buffer.from(parsed.data.update, 'base64') };
}

/** The answer to the command `resize-screen`. @throws when it is invalid */
export function parseScreenResize(value: unknown): ScreenResize {
  const parsed = z.enum(['notified', 'fixed', 'memory']).safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

/** The answer to the command `plug`. @throws when it is invalid */
export function parsePluggedIn(value: unknown): PluggedIn {
  const parsed = pluggedIn.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

/** The answer to the command `set-vcpus`. @throws when it is invalid */
export function parseVcpusSet(value: unknown): VcpusSet {
  const parsed = z.object({ vcpus: count.max(MAX_VCPUS), noticed: z.boolean() }).safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(INVALID);
}

/** The first message of a machine to a manager that did not start it. @throws when it is invalid */
export function parseHello(value: unknown): MachineIdentity {
  const parsed = z.object({ kind: z.literal('hello') }).safeParse(value);
  const hello = identity.safeParse(value);
  if (parsed.success && hello.success) return hello.data;
  throw new Error('the machine did not introduce itself');
}
