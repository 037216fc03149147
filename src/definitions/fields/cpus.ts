import * as z from 'zod';
import { CpuModelError, cpuModel } from '../../vmm/cpu/cpu-models.ts';
import { CpuFeatureError, checkFeatures } from '../../vmm/cpu/cpuid-features.ts';

const MOST = 64;

const count = z.int().min(1, 'at least 1 vCPU').max(MOST, `at most ${MOST} vCPUs`);
const part = z.int().min(1, 'at least 1').max(MOST, `at most ${MOST}`).default(1);

const topology = z.strictObject({
  sockets: part.meta({ description: 'Sockets.', examples: [1] }),
  cores: part.meta({ description: 'Cores of a socket.', examples: [2] }),
  threads: part.meta({ description: 'Threads of a core.', examples: [2] }),
});

export type CpuTopology = z.output<typeof topology>;

const feature = z
  .string()
  .regex(/^[+-][a-z0-9_.]+$/, {
    message: 'a feature name with a leading "-" or "+", such as -cx16',
    abort: true,
  })
  .superRefine((text, context) => {
    try {
      checkFeatures([text.slice(1)]);
    } catch (error) {
      if (!(error instanceof CpuFeatureError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, input: text });
    }
  });

const model = z.string().superRefine((text, context) => {
  try {
    cpuModel(text);
  } catch (error) {
    if (!(error instanceof CpuModelError)) throw error;
    context.addIssue({ code: 'custom', message: error.message, input: text });
  }
});

const settings = z
  .strictObject({
    count: count.optional().meta({
      description: 'vCPUs; what the topology gives, or 1, if absent.',
      examples: [4],
    }),
    topology: topology
      .optional()
      .meta({ description: 'Sockets, cores and threads that the guest sees; their product is the count.' }),
    pinning: z
      .array(z.int().min(0, 'a number of a host CPU').max(8191, 'a number of a host CPU'))
      .max(MOST)
      .optional()
      .meta({
        description: 'The host CPU that each vCPU stays on, in the order of the vCPUs.',
        examples: [[2, 3, 6, 7]],
      }),
    features: z
      .array(feature)
      .default([])
      .meta({
        description:
          'CPU features to hide from the guest, by their names in /proc/cpuinfo, with a leading "-"; with a leading "+" those ' +
          'that the model does not have.',
        examples: [['-cx16', '-xsave']],
      }),
    model: model.optional().meta({
      description:
        "A CPU model of QEMU's, such as Haswell or x86-64-v2, as far as this host has its features; the host's CPU if absent.",
      examples: ['Haswell-noTSX'],
    }),
    enforce: z
      .boolean()
      .default(false)
      .meta({
        description: 'Refuse to start on a host that lacks a feature of the CPU.',
        examples: [true],
      }),
    'hide-hypervisor': z
      .boolean()
      .default(false)
      .meta({ description: 'Hide from the guest that it runs on KVM.', examples: [true] }),
  })
  .transform((value, context) => {
    const { sockets, cores, threads } = value.topology ?? { sockets: 1, cores: 1, threads: 1 };
    const product = sockets * cores * threads;
    const all = value.count ?? product;
    const problem = (key: string, message: string, input: unknown) => {
      context.addIssue({ code: 'custom', path: [key], message, input });
      return z.NEVER;
    };
    if (value.topology && product !== all) {
      const sum = `${sockets} x ${cores} x ${threads} = ${product}`;
      return problem(
        'topology',
        `sockets x cores x threads (${sum}) have to give the count, ${all}`,
        value.topology,
      );
    }
    if (all > MOST) return problem('topology', `expected at most ${MOST} vCPUs, not ${all}`, value.topology);
    if (value.pinning && value.pinning.length !== all) {
      return problem(
        'pinning',
        `expected a host CPU for each of the ${all} vCPUs, not ${value.pinning.length}`,
        value.pinning,
      );
    }
    return { ...value, count: all };
  });

export type Cpus = z.output<typeof settings>;

/** `2`, or the settings. */
export const cpus = z
  .union(
    [count.transform(value => settings.parse({ count: value })), settings],
    'a number of vCPUs, or settings',
  )
  .prefault(1);
