import * as z from 'zod';
import type { UndoneChange } from './apply.ts';
import { type Condition, type Plan, planVersion } from './plan.ts';
import type { StepState } from './step-states.ts';

/** A plan that was started. Ids increase over time. */
export type JournalEntry = {
  readonly version: typeof planVersion;
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  /** /proc/sys/kernel/random/boot_id at that time: sysfs changes do not survive a reboot. */
  readonly bootId: string;
  /**
   * `applying`: in progress, or interrupted with its process. `failed`: a step failed, and so did the rollback.
   * `hanging`: the kernel does not complete a step. A plan that failed and was completely rolled back has no entry.
   */
  readonly state: 'applying' | 'applied' | 'failed' | 'hanging' | 'undone';
  readonly plan: Plan;
  readonly steps: readonly StepState[];
  /** Conditions that held after it was applied. */
  readonly left: readonly Condition[];
  /** What could not be undone. */
  readonly failures: readonly UndoneChange[];
};

/** Code that acts on entries trusts them: reject truncated or edited ones. */

const path = z
  .string()
  .regex(/^\/[^\0]*$/, 'expected an absolute path')
  .refine(text => !text.split('/').includes('..'), 'expected a path without ..');
const argv = z.tuple([z.string().min(1)], z.string());
const seconds = z.number().nonnegative().max(86_400);

const action = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('write'),
    path: path.refine(
      text => text.startsWith('/sys/') || text.startsWith('/proc/sys/net/'),
      'expected a path in /sys or /proc/sys/net',
    ),
    value: z.string().min(1).max(4096),
    seconds: seconds.optional(),
  }),
  z.strictObject({
    kind: z.literal('file'),
    path,
    content: z.string(),
    mode: z.number().int().nonnegative().max(0o7777),
    backup: path.nullable(),
  }),
  z.strictObject({ kind: z.literal('remove'), paths: z.array(path), directory: z.boolean() }),
  z.strictObject({ kind: z.literal('run'), argv, seconds }),
  z.strictObject({ kind: z.literal('wait') }),
]);

const driver = z.string().min(1).nullable();
const condition = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('attribute'), path, value: z.string() }),
  z.strictObject({ kind: z.literal('driver'), device: path, driver }),
  z.strictObject({ kind: z.literal('host-driver'), device: path, bound: z.boolean() }),
  z.strictObject({ kind: z.literal('module-idle'), module: z.string() }),
  z.strictObject({ kind: z.literal('exists'), path, exists: z.boolean() }),
  z.strictObject({ kind: z.literal('vfio-node'), device: path, exists: z.boolean() }),
  z.strictObject({ kind: z.literal('file'), path, content: z.string().nullable() }),
  z.strictObject({ kind: z.literal('contains'), path, texts: z.array(z.string()) }),
  z.strictObject({ kind: z.literal('module'), module: z.string(), loaded: z.boolean() }),
  z.strictObject({ kind: z.literal('vf-count'), device: path, count: z.number().int().nonnegative() }),
  z.strictObject({
    kind: z.literal('vf-attribute'),
    interface: z.string(),
    index: z.number().int().nonnegative(),
    attribute: z.enum(['mac', 'vlan', 'qos', 'trust', 'spoofCheck', 'linkState', 'maxTxRate', 'minTxRate']),
    value: z.union([z.string(), z.number(), z.boolean()]),
  }),
  z.strictObject({
    kind: z.literal('output'),
    argv,
    has: z.array(z.string()),
    lacks: z.array(z.string()),
  }),
]);

const change = { action, expect: z.array(condition), within: seconds };
const step = z.strictObject({
  ...change,
  reason: z.string(),
  risk: z.string().nullable(),
  undo: z.strictObject({
    changes: z.array(z.strictObject({ ...change, when: z.array(condition) })),
    last: z.boolean(),
  }),
});

const plan = z.object({
  version: z.literal(planVersion),
  kind: z.enum(['bind', 'unbind', 'vf-count', 'vf-attributes', 'kernel-parameters', 'network']),
  title: z.string(),
  devices: z.array(
    z.object({
      address: z.string(),
      name: z.string(),
      iommuGroup: z.number().nullable(),
      role: z.enum(['asked', 'group', 'left', 'bridge', 'ended-vf']),
      driver: z.string().nullable(),
      becomes: z.string().nullable().optional(),
    }),
  ),
  checks: z.array(z.any()),
  steps: z.array(step).min(1),
  assumes: z.array(condition),
  notes: z.array(z.string()),
});

const entry = z
  .object({
    version: z.literal(planVersion),
    id: z.string().regex(/^\d{6,}$/),
    at: z.iso.datetime(),
    bootId: z.string(),
    state: z.enum(['applying', 'applied', 'failed', 'hanging', 'undone']),
    plan,
    steps: z.array(z.enum(['pending', 'running', 'done', 'unneeded', 'failed', 'hanging'])),
    left: z.array(condition),
    failures: z.array(
      z.object({
        state: z.enum(['undone', 'unneeded', 'kept', 'failed']),
        text: z.string(),
        reason: z.string().nullable(),
      }),
    ),
  })
  .refine(({ plan, steps }) => plan.steps.length === steps.length, {
    path: ['steps'],
    error: 'expected a state for each step of the plan',
  })
  .refine(
    ({ state, steps }) => state !== 'applied' || steps.every(each => each === 'done' || each === 'unneeded'),
    {
      path: ['steps'],
      error: 'expected every step to be done in a plan that was applied',
    },
  );

/** @returns the entry, or why the text is invalid, in a few words */
export function parseEntry(text: string): JournalEntry | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text.trim() === '' ? 'it is empty' : 'it is not valid JSON, or truncated';
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (version !== planVersion)
    return `it has version ${JSON.stringify(version) ?? 'unknown'}, expected ${planVersion}`;
  const result = entry.safeParse(value);
  if (result.success) return result.data as JournalEntry;
  const [issue] = result.error.issues;
  return `${issue!.path.join('.') || 'entry'}: ${issue!.message}`;
}
