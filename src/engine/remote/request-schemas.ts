import * as z from 'zod';
import { diskLimits, mediumFields } from '../../devices/backends/disk.ts';
import { netLimits } from '../../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import { MONITOR_SIDE } from '../../devices/display/monitor-size.ts';
import { BUTTON, MOTION_MAX, POSITION_MAX } from '../../devices/input/input-event.ts';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';
import { MAX_INPUT_BYTES } from '../guest-agent/exec.ts';
import { loadFields, offerFields } from '../migration/messages.ts';
import { type ClientNotifications, MAX_TYPED_BYTES, type Requests } from './protocol.ts';

/** The engine checks names before they reach files and messages; here only their length is bounded. */
const id = z.string().min(1).max(64);
const number = z
  .int()
  .min(0)
  .max(2 ** 31);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const nothing = z.strictObject({}).optional();
const device = z.string().min(1).max(64);
const byId = z.strictObject({ id });
const sampling = { sampling: number };
const samplingSettings = {
  intervalMs: z.int().min(50).max(3_600_000),
  paused: z.boolean(),
  detailOf: id.nullable(),
  queues: z.boolean().exactOptional(),
};
const cells = z.int().min(1).max(0xffff);
const byConsole = z.strictObject({ console: number });
const bytes = z.base64().max((MAX_TYPED_BYTES / 3) * 4 + 4);

/** In one request. */
const MAX_INPUT_EVENTS = 1024;
const position = z.int().min(0).max(POSITION_MAX);
const motion = z.int().min(-MOTION_MAX).max(MOTION_MAX);
const monitorSide = z.int().min(MONITOR_SIDE.least).max(MONITOR_SIDE.most);

const inputEvent = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('key'), code: z.int().min(1).max(0x2ff), down: z.boolean() }),
  z.strictObject({ kind: z.literal('button'), code: z.literal(Object.values(BUTTON)), down: z.boolean() }),
  z.strictObject({ kind: z.literal('motion'), dx: motion, dy: motion }),
  z.strictObject({ kind: z.literal('position'), x: position, y: position }),
  z.strictObject({ kind: z.literal('wheel'), dy: motion }),
]);

type SchemaOf<Params> = z.ZodType<Params extends Readonly<Record<string, never>> ? unknown : Params>;

/** The schemas of each request's parameters: the peer is not trusted. */
export const requestSchemas: { readonly [Method in keyof Requests]: SchemaOf<Requests[Method][0]> } = {
  // Open to keys of a later protocol, so that a client can be refused by its version.
  hello: z.object({
    protocol: number,
    version: z.string().max(64),
    terminal: z.string().regex(/^[\x20-\x7e]{1,64}$/, 'it is user@tty, at most 64 printable characters'),
    readOnly: z.boolean(),
  }),
  subscribe: nothing,
  vms: nothing,
  log: nothing,
  metrics: z.strictObject({ format: z.enum(['openmetrics', 'prometheus']).exactOptional() }).prefault({}),
  ping: nothing,
  'manager/status': nothing,
  'manager/stop': z
    .strictObject({
      timeoutMs: z.int().min(0).max(86_400_000).exactOptional(),
      resume: z.boolean().exactOptional(),
      keepVms: z.boolean().exactOptional(),
    })
    .prefault({}),
  // The engine checks the machine with its own schema, with messages for the user.
  'vm/start': z.strictObject({ config: z.custom<MachineConfigInput>(isObject, 'it is an object') }),
  'vm/restart': byId,
  'vm/pause': byId,
  'vm/resume': byId,
  'vm/wake': byId,
  'vm/reset': byId,
  'vm/powerButton': byId,
  'vm/upgrade': byId,
  'vm/resizeDisk': z.strictObject({ id, device, bytes: z.int().min(1).nullable(), shrink: z.boolean() }),
  'vm/limitDisk': z.strictObject({ id, device, limits: diskLimits(z), persist: z.boolean().optional() }),
  'vm/setLink': z.strictObject({ id, device, up: z.boolean() }),
  'vm/limitNic': z.strictObject({ id, device, limits: netLimits(z), persist: z.boolean().optional() }),
  'vm/input': z.strictObject({ id, events: z.array(inputEvent).max(MAX_INPUT_EVENTS) }),
  'vm/guestFacts': byId,
  'vm/guestExec': z.strictObject({
    id,
    path: z.string().min(1).max(4096),
    args: z.array(z.string().max(65_536)).max(1000),
    env: z.array(z.string().max(65_536)).max(1000).exactOptional(),
    input: z
      .base64()
      .max(2 * MAX_INPUT_BYTES)
      .exactOptional(),
    timeoutMs: z.int().min(1).max(86_400_000),
  }),
  'vm/screen': z.strictObject({
    id,
    device: device.nullable(),
    seen: z.strictObject({ epoch: count, version: count, part: count }),
  }),
  'vm/resizeScreen': z.strictObject({
    id,
    device: device.nullable(),
    width: monitorSide,
    height: monitorSide,
  }),
  'vm/setBalloon': z.strictObject({ id, bytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER) }),
  'vm/setVcpus': z.strictObject({ id, count: z.int().min(1).max(64), persist: z.boolean().optional() }),
  'vm/changeMedium': z.strictObject({
    id,
    device,
    medium: z.strictObject(mediumFields(z)).nullable(),
    force: z.boolean(),
  }),
  // Checked by the engine, like the machine.
  'vm/attach': z.strictObject({
    id,
    device: z.custom<DeviceConfig>(isObject, 'it is an object'),
    persist: z.boolean(),
    running: z.boolean().exactOptional(),
  }),
  'vm/detach': z.strictObject({ id, device, force: z.boolean(), persist: z.boolean() }),
  'vm/cancelDetach': z.strictObject({ id, device }),
  'vm/kill': byId,
  'vm/remove': byId,
  'vm/rename': z.strictObject({ id, name: id }),
  'vm/snapshot': z.strictObject({
    id,
    name: id.exactOptional(),
    disks: z.boolean(),
    quiesce: z.boolean().exactOptional(),
  }),
  'vm/save': byId,
  'vm/migrate': z.strictObject({
    id,
    destination: z.string().min(1).max(256),
    command: z.string().min(1).max(65_536).exactOptional(),
    sshAgent: z.string().max(4096).exactOptional(),
    as: id.exactOptional(),
    keep: z.boolean().exactOptional(),
    bandwidth: z.int().min(1).max(Number.MAX_SAFE_INTEGER).exactOptional(),
    maxDowntimeMs: z.int().min(0).max(3_600_000).exactOptional(),
    timeoutMs: z.int().min(1).max(604_800_000).exactOptional(),
    thenPause: z.boolean().exactOptional(),
  }),
  'vm/cancelTask': byId,
  'arrival/prepare': z.strictObject(offerFields),
  'arrival/load': z.strictObject(loadFields),
  'arrival/go': nothing,
  'arrival/close': z.strictObject({ reason: z.string().max(16_384) }),
  'snapshot/list': z.strictObject({ vm: id.nullable(), check: z.boolean() }),
  'snapshot/restore': z.strictObject({
    vm: id,
    name: id,
    as: id.exactOptional(),
    force: z.boolean().exactOptional(),
  }),
  'snapshot/delete': z.strictObject({ vm: id, name: id.nullable() }),
  'definition/write': z.strictObject({ name: id, yaml: z.string().max(512 * 1024), replace: z.boolean() }),
  'definition/read': z.strictObject({ name: id }),
  'sampling/open': z.strictObject({ ...sampling, ...samplingSettings }),
  'sampling/configure': z.strictObject({
    ...sampling,
    intervalMs: samplingSettings.intervalMs.exactOptional(),
    paused: samplingSettings.paused.exactOptional(),
    detailOf: samplingSettings.detailOf.exactOptional(),
    queues: samplingSettings.queues,
  }),
  'sampling/resetTotals': z.strictObject(sampling),
  'sampling/close': z.strictObject(sampling),
  'console/open': z.strictObject({ console: number, id, port: number.optional() }),
  'console/takeKeyboard': z.strictObject({ console: number, take: z.boolean() }),
  'console/releaseKeyboard': byConsole,
  'console/feed': z.strictObject({ console: number, bytes }),
  'console/close': byConsole,
};

export const notificationSchemas: {
  readonly [Method in keyof ClientNotifications]: SchemaOf<ClientNotifications[Method]>;
} = {
  'console/type': z.strictObject({ console: number, bytes }),
  'console/answer': z.strictObject({ console: number, bytes }),
  'console/resize': z.strictObject({ console: number, columns: cells, rows: cells }),
  goodbye: nothing,
};

/** Requests that are refused to a client with `readOnly`. */
export const CHANGING: ReadonlySet<string> = new Set<keyof Requests>([
  'manager/stop',
  'vm/start',
  'vm/restart',
  'vm/pause',
  'vm/resume',
  'vm/wake',
  'vm/reset',
  'vm/powerButton',
  'vm/upgrade',
  'vm/resizeDisk',
  'vm/limitDisk',
  'vm/setLink',
  'vm/limitNic',
  'vm/resizeScreen',
  'vm/setBalloon',
  'vm/input',
  'vm/setVcpus',
  'vm/changeMedium',
  'vm/guestExec',
  'vm/attach',
  'vm/detach',
  'vm/cancelDetach',
  'vm/kill',
  'vm/remove',
  'vm/rename',
  'vm/snapshot',
  'vm/save',
  'vm/migrate',
  'vm/cancelTask',
  'arrival/prepare',
  'arrival/load',
  'arrival/go',
  'arrival/close',
  'snapshot/restore',
  'snapshot/delete',
  'definition/write',
  'console/takeKeyboard',
  'console/feed',
]);

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
