import * as z from 'zod';
import { CpuModelError, cpuModel } from '../../vmm/cpu/cpu-models.ts';
import { CpuFeatureError, checkFeatures } from '../../vmm/cpu/cpuid-features.ts';

/** The most vCPUs of a VM. */
export const MOST = 64;

const count = z.int().min(1, 'at least 1 vCPU').max(MOST, `at most ${MOST} vCPUs`);
const part = z.int().min(1, 'at least 1').max(MOST, `at most ${MOST}`).default(1);

const topology = z.strictObject({
  sockets: part.meta({ description: 'Sockets.', examples: [1] }),
  cores: part.meta({ description: 'Cores per socket.', examples: [2] }),
  threads: part.meta({ description: 'Threads per core.', examples: [2] }),
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
      description: 'The number of vCPUs. Default: the product of the topology, or 1.',
      examples: [4],
    }),
    maxcpus: count.optional().meta({
      description:
        'The maximum number of vCPUs (default: count). Up to that many can be added while the guest runs, with vring ' +
        'vm cpus.',
      examples: [8],
    }),
    topology: topology.optional().meta({
      description:
        'The sockets, cores and threads that the guest sees; their product must equal maxcpus, or count without it.',
    }),
    pinning: z
      .array(z.int().min(0, 'the number of a host CPU').max(8191, 'the number of a host CPU'))
      .max(MOST)
      .optional()
      .meta({
        description: 'The host CPU to pin each vCPU to, in the order of the vCPUs.',
        examples: [[2, 3, 6, 7]],
      }),
    features: z
      .array(feature)
      .default([])
      .meta({
        description:
          'CPU features, by their names in /proc/cpuinfo: "-" hides one from the guest, "+" adds one to the model.',
        examples: [['-cx16', '-xsave']],
      }),
    model: model.optional().meta({
      description:
        'A QEMU CPU model, such as Haswell or x86-64-v2, limited to the features that this host has. Default: ' +
        "the host's CPU.",
      examples: ['Haswell-noTSX'],
    }),
    enforce: z
      .boolean()
      .default(false)
      .meta({
        description: "Refuse to start on a host that lacks one of the CPU's features.",
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
    const all = value.maxcpus ?? value.count ?? product;
    const present = value.count ?? all;
    const problem = (key: string, message: string, input: unknown) => {
      context.addIssue({ code: 'custom', path: [key], message, input });
      return z.NEVER;
    };
    if (all < present)
      return problem('maxcpus', `expected at least ${present}, the number of vCPUs`, value.maxcpus);
    if (value.topology && product !== all) {
      const sum = `${sockets} x ${cores} x ${threads} = ${product}`;
      const key = value.maxcpus === undefined ? 'count' : 'maxcpus';
      return problem(
        'topology',
        `sockets x cores x threads (${sum}) must equal ${key}, ${all}`,
        value.topology,
      );
    }
    if (all > MOST) return problem('topology', `expected at most ${MOST} vCPUs, not ${all}`, value.topology);
    if (value.pinning && ![present, all].includes(value.pinning.length)) {
      return problem(
        'pinning',
        `expected one host CPU for each of the ${present} vCPUs, not ${value.pinning.length}`,
        value.pinning,
      );
    }
    const { maxcpus: _, ...rest } = value;
    return { ...rest, count: present, ...(all > present && { maxcpus: all }) };
  });

export type Cpus = z.output<typeof settings>;

/** `2`, or the settings. */
export const cpus = z
  .union(
    [count.transform(value => settings.parse({ count: value })), settings],
    'a number of vCPUs, or settings',
  )
  .prefault(1);
