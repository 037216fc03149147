import * as z from 'zod';
import {
  deviceConfig,
  MAX_DEVICE_MODULES,
  moduleDeviceConfig,
  unknownType,
} from '../devices/device-config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { balloon } from './fields/balloon.ts';
import { boot } from './fields/boot.ts';
import { channels, parallel, serial } from './fields/char.ts';
import { cpus } from './fields/cpus.ts';
import { disks } from './fields/disks.ts';
import { graphics } from './fields/graphics.ts';
import { inputs } from './fields/inputs.ts';
import { machine } from './fields/machine.ts';
import { memory } from './fields/memory.ts';
import { nics } from './fields/nics.ts';
import { numa, numaProblem } from './fields/numa.ts';
import { passthrough } from './fields/passthrough.ts';
import { rng } from './fields/rng.ts';
import { hostPath, line } from './fields/text.ts';
import { tpm } from './fields/tpm.ts';
import { sameMac } from './mac-addresses.ts';
import { samePassthrough } from './passed-functions.ts';
import { sameDisk } from './same-disk.ts';
import { sameDeviceName } from './same-name.ts';

const fields = z.strictObject({
  name: z
    .string(VM_NAME.rule)
    .regex(VM_NAME.pattern, VM_NAME.rule)
    .meta({ description: "The VM's name, and the file's name without .yaml.", examples: ['web'] }),
  description: line(500)
    .optional()
    .meta({ description: 'A one-line description.', examples: ['The web server'] }),
  memory: memory.meta({ description: 'Guest RAM: a size, or settings.', examples: ['2G'] }),
  cpus: cpus.meta({ description: 'vCPUs: a number, or settings.', examples: [2] }),
  numa: numa.meta({ description: 'NUMA nodes of the guest. Default: a single node.' }),
  machine: machine.meta({ description: 'What boots: firmware, or a kernel.' }),
  disks: disks.meta({ description: 'Disks and CD-ROMs, in the order in which the guest sees them.' }),
  nics: nics.meta({ description: 'Network cards.' }),
  console: z
    .enum(['serial', 'virtio'])
    .default('serial')
    .meta({
      description: 'The port shown as the console: COM1, which every VM has, or a virtio console.',
      examples: ['virtio'],
    }),
  serial: serial.meta({
    description:
      'What COM1 to COM4 are connected to: `console`, `null`, `pty`, or settings of type `unix` (path, server, ' +
      'mode), `tcp` (host, port, server) or `file` (path, append), and with each a `logfile`. Default: COM1 is a ' +
      'console.',
    examples: [['console', { type: 'unix', path: '/run/web-com2.sock' }]],
  }),
  parallel: parallel.meta({
    description: 'What LPT1 and LPT2 print to, as for `serial`. Default: none.',
    examples: [[{ type: 'file', path: '/srv/printed.prn' }]],
  }),
  channels: channels.meta({
    description: 'Named ports between programs of guest and host (virtio-serial).',
    examples: [[{ name: 'org.example.backup.0', chardev: { type: 'unix', path: '/run/backup.sock' } }]],
  }),
  agent: z
    .boolean()
    .default(false)
    .meta({
      description:
        'A channel to the QEMU guest agent, if the guest runs it: shutdown, addresses, `vring vm exec`, frozen ' +
        'file systems for snapshots.',
      examples: [true],
    }),
  rng: rng.meta({
    description: 'Random bytes from the host (virtio-rng): true, false, or a limit.',
    examples: [false],
  }),
  balloon: balloon.meta({
    description: 'A balloon, to reclaim memory from the guest (virtio-balloon): true, false, or settings.',
    examples: [true],
  }),
  display: z
    .enum(['vga', 'virtio', 'virtio-gpu', 'none'])
    .optional()
    .meta({
      description:
        'The graphics card (docs/screen.md). Default: `vga` with firmware, `none` with a kernel; `virtio` is a ' +
        'virtio GPU with a VGA.',
      examples: ['vga', 'virtio'],
    }),
  inputs: inputs.meta({
    description:
      'Keyboards and pointers, besides the PS/2 ones that every VM has: on USB, or virtio devices. A `tablet` is an ' +
      'absolute pointer, which follows that of a VNC client.',
    examples: [['tablet', 'keyboard'], ['virtio-tablet']],
  }),
  tpm: tpm.optional().meta({
    description: 'A Trusted Platform Module, by the program swtpm (docs/firmware.md). Default: none.',
    examples: [{ version: 2 }],
  }),
  graphics: graphics.optional().meta({
    description: "A VNC server for the VM's screen (docs/screen.md). Default: none.",
    examples: [{ type: 'vnc', listen: '127.0.0.1:1' }],
  }),
  passthrough: passthrough.meta({ description: 'PCI devices of the host to pass through to the guest.' }),
  devices: z
    .array(z.union([deviceConfig, moduleDeviceConfig], 'a device'))
    .max(64, 'at most 64 devices')
    .default([])
    .meta({
      description: 'More devices, by type; `vring devices` lists the types.',
      examples: [[{ type: 'virtio-rng' }]],
    }),
  deviceModules: z
    .array(hostPath)
    .max(MAX_DEVICE_MODULES, `at most ${MAX_DEVICE_MODULES} device modules`)
    .default([])
    .meta({
      description: 'Files with your own device models, whose types `devices` may list (docs/devices.md).',
      examples: [['/etc/vring/tick-counter.ts']],
    }),
  boot: boot.optional().meta({ description: 'What the firmware boots from.' }),
  autostart: z
    .boolean()
    .default(false)
    .meta({ description: 'Start the VM when the service (`vring serve`) starts.', examples: [true] }),
  'on-crash': z
    .enum(['keep', 'restart'])
    .default('keep')
    .meta({
      description: 'When the guest crashes: keep its last state for inspection, or start it again.',
      examples: ['restart'],
    }),
  'on-reboot': z
    .enum(['restart', 'stop'])
    .default('restart')
    .meta({ description: 'When the guest reboots: restart it, or stop it instead.', examples: ['stop'] }),
  confine: z
    .enum(['default', 'strict', 'off'])
    .default('default')
    .meta({
      description:
        "How the VM's process is confined: as far as the host allows (`default`), not at all (`off`), or not " +
        'started unless every layer is on (`strict`; docs/security.md).',
      examples: ['strict'],
    }),
});

/**
 * A VM as its file describes it. Short forms (`memory: 512M`, `cpus: 2`, `network: user`) are expanded in the output.
 */
export const definition = fields.superRefine(
  (
    {
      name,
      numa: nodes,
      memory: { size },
      cpus: { count, maxcpus = count },
      disks,
      nics,
      passthrough: passed,
      devices,
      deviceModules,
    },
    context,
  ) => {
    // Parts with problems of their own have not been expanded.
    const isExpanded = context.issues.length === 0;
    const unknown = unknownType({ devices, deviceModules });
    if (unknown !== null) {
      const path = ['devices', unknown.index, 'type'];
      context.addIssue({ code: 'custom', path, message: unknown.message, input: devices });
    }
    if (!isExpanded) return;
    const problem = numaProblem(nodes, { memory: size, cpus: maxcpus });
    if (problem !== null) {
      const path = ['numa', ...problem.path];
      context.addIssue({ code: 'custom', path, message: problem.message, input: nodes });
    }
    const same = sameDisk({ disks, devices });
    if (same !== null) context.addIssue({ code: 'custom', ...same, input: disks });
    const twice = samePassthrough({ passthrough: passed, devices });
    if (twice !== null) context.addIssue({ code: 'custom', ...twice, input: passed });
    const named = sameDeviceName({ passthrough: passed, devices });
    if (named !== null) context.addIssue({ code: 'custom', ...named, input: devices });
    const mac = sameMac({ name, nics, devices, passthrough: passed });
    if (mac !== null) context.addIssue({ code: 'custom', ...mac, input: nics });
  },
);

export type Definition = z.output<typeof definition>;
/** What a file may contain. */
export type DefinitionInput = z.input<typeof definition>;
