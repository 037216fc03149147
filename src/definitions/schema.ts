import * as z from 'zod';
import { deviceConfig } from '../devices/device-config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { boot } from './fields/boot.ts';
import { cpus } from './fields/cpus.ts';
import { disks } from './fields/disks.ts';
import { machine } from './fields/machine.ts';
import { memory } from './fields/memory.ts';
import { nics } from './fields/nics.ts';
import { numa, numaProblem } from './fields/numa.ts';
import { passthrough } from './fields/passthrough.ts';
import { line } from './fields/text.ts';

const fields = z.strictObject({
  name: z
    .string(VM_NAME.rule)
    .regex(VM_NAME.pattern, VM_NAME.rule)
    .meta({ description: "The VM's name, which is also the file's, without .yaml.", examples: ['web'] }),
  description: line(500)
    .optional()
    .meta({ description: 'What it is for, in one line.', examples: ['The web server'] }),
  memory: memory.meta({ description: 'Guest RAM: a size, or settings.', examples: ['2G'] }),
  cpus: cpus.meta({ description: 'vCPUs: a number, or settings.', examples: [2] }),
  numa: numa.meta({ description: 'NUMA nodes, as the guest sees them; none, which is one node, if absent.' }),
  machine: machine.meta({ description: 'What boots: firmware, or a kernel.' }),
  disks: disks.meta({ description: 'Disks and CD-ROMs, in the order in which the guest finds them.' }),
  nics: nics.meta({ description: 'Network cards.' }),
  console: z
    .enum(['serial', 'virtio'])
    .default('serial')
    .meta({
      description: 'The port that is shown as the console: COM1, which every VM has, or a virtio console.',
      examples: ['virtio'],
    }),
  rng: z
    .boolean()
    .default(true)
    .meta({ description: 'Random bytes from the host (virtio-rng).', examples: [false] }),
  balloon: z
    .boolean()
    .default(false)
    .meta({
      description: 'A balloon, to take memory back from the guest (virtio-balloon).',
      examples: [true],
    }),
  passthrough: passthrough.meta({ description: 'PCI devices of the host that the guest gets.' }),
  devices: z
    .array(deviceConfig)
    .max(64, 'at most 64 devices')
    .default([])
    .meta({
      description: 'More devices, as `vring devices` lists them, by type.',
      examples: [[{ type: 'virtio-rng' }]],
    }),
  boot: boot.optional().meta({ description: 'Where the firmware looks for a system.' }),
  autostart: z
    .boolean()
    .default(false)
    .meta({ description: 'Start it with the service (`vring serve`).', examples: [true] }),
  'on-crash': z
    .enum(['keep', 'restart'])
    .default('keep')
    .meta({
      description: 'When the guest crashes: keep what is known of it on the screen, or start it again.',
      examples: ['restart'],
    }),
  'on-reboot': z
    .enum(['restart', 'stop'])
    .default('restart')
    .meta({ description: 'When the guest reboots: let it, or stop it instead.', examples: ['stop'] }),
});

/**
 * A VM as its file describes it. What can be written short (`memory: 512M`, `cpus: 2`, `network: user`) has its full
 * form in the output.
 */
export const definition = fields.superRefine(
  ({ numa: nodes, memory: { size }, cpus: { count } }, context) => {
    const problem = numaProblem(nodes, { memory: size, cpus: count });
    if (problem === null) return;
    context.addIssue({
      code: 'custom',
      path: ['numa', ...problem.path],
      message: problem.message,
      input: nodes,
    });
  },
);

export type Definition = z.output<typeof definition>;
/** What a file may say. */
export type DefinitionInput = z.input<typeof definition>;
