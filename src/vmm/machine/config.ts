import * as z from 'zod';
import { BOOT_KINDS } from '../../devices/boot-device.ts';
import { anyDeviceConfig, MAX_DEVICE_MODULES, unknownType } from '../../devices/device-config.ts';
import { FW_CFG_NAME } from '../../devices/firmware/fw-cfg-items.ts';
import { parsePciAddress, placeDevices } from '../../devices/places.ts';
import { deviceTable } from '../../devices/registry.ts';
import { smbiosOptions } from '../boot/smbios-options.ts';
import { maxCpus } from '../cpu/cpu-topology.ts';
import { isClockStart } from './clock-start.ts';
import { VM_NAME } from './vm-name.ts';
import { vncSettings } from './vnc-settings.ts';

const MiB = 2 ** 20;

const part = z.int().min(1, 'at least 1').max(64, 'at most 64');

const path = z.string().min(1, 'the path is empty');

/** Eight slots of eight. */
export const MAX_ROOT_PORTS = 64;
/** Most devices of a machine besides those that every machine has. */
export const MAX_DEVICES = 64;

/** A kernel that is loaded into RAM and entered by its own boot protocol. */
const kernelBoot = z.strictObject({
  kind: z.literal('kernel'),
  path,
  initrd: path.optional(),
  /** For a multiboot kernel, in place of an initrd: files, each with its command line. */
  modules: z
    .array(z.strictObject({ path, commandLine: z.string() }))
    .max(64, 'at most 64 modules')
    .default([]),
  append: z.string().default(''),
});

/** What a machine's firmware may boot from, in order of priority. */
const bootSources = z.array(z.enum(BOOT_KINDS)).max(4).default([]);

/** A file of fw_cfg, from a file of the host or a text. */
const firmwareSetting = z.strictObject({
  name: z.string().regex(FW_CFG_NAME.pattern, FW_CFG_NAME.rule),
  path: path.optional(),
  text: z.string().optional(),
});

/** Firmware, which boots the guest from one of its devices. */
const firmwareBoot = z.strictObject({
  kind: z.literal('firmware'),
  firmware: z.enum(['bios', 'uefi']).default('bios'),
  /** Its file; default: where distributions put it. */
  path: path.optional(),
  /** UEFI with Secure Boot on, and its keys. */
  secureBoot: z.boolean().default(false),
  /**
   * The flash memory with UEFI's variables: the file, and the template for a new one. Without a file, it starts with
   * the contents of the template, and the guest's changes are lost when the machine ends. Default: no such flash
   * memory.
   */
  variables: z.strictObject({ file: path.optional(), template: path.optional() }).optional(),
  /** A kernel that the firmware boots before anything else. */
  kernel: z.strictObject({ path, initrd: path.optional(), append: z.string().default('') }).optional(),
  /** fw_cfg items for it and the guest, in addition to those of every machine. */
  settings: z.array(firmwareSetting).max(64, 'at most 64 files').default([]),
  /** The order of devices without their own boot index; if empty, firmware chooses. */
  order: bootSources,
  /** Same, for the first boot only. */
  once: bootSources,
  /** Its boot menu, and how many milliseconds it waits for the key that opens it. */
  menu: z
    .strictObject({ show: z.boolean().default(false), waitMs: z.int().min(0).max(0xffff).optional() })
    .prefault({}),
  /** How long the BIOS waits before it starts over when it has found nothing to boot; default: it stops there. */
  retryMs: z.int().min(0).max(0xffff).optional(),
  /** Its console is COM1, too, if the machine has a screen. Without one, it always is. */
  serialConsole: z.boolean().default(false),
});

const fields = z.strictObject({
  name: z
    .string()
    .regex(
      VM_NAME.pattern,
      'a name starts with a letter or digit and has only those, ".", "_" and "-", at most 63',
    ),
  /** The UUID that firmware reports to the guest; default: derived from the name. */
  uuid: z.guid('a UUID, such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301').optional(),
  cpus: z.int().min(1, 'at least 1 vCPU').max(64, 'at most 64 vCPUs').default(1),
  /** Most vCPUs of the machine, from `cpus` up; default: `cpus`. Those beyond `cpus` are absent at the start. */
  maxCpus: z.int().min(1, 'at least 1 vCPU').max(64, 'at most 64 vCPUs').optional(),
  /** The topology of all `maxCpus` that the guest sees; default: one socket of cores. */
  topology: z.strictObject({ sockets: part, cores: part, threads: part }).optional(),
  memory: z
    .strictObject({
      bytes: z
        .int()
        .min(2 * MiB, 'at least 2M')
        .refine(bytes => bytes % MiB === 0, 'a whole number of MiB'),
      hugepages: z.enum(['2M', '1G']).optional(),
      /** Lets the kernel merge identical pages of several guests (KSM). */
      mergeable: z.boolean().default(false),
    })
    .refine(({ hugepages, mergeable }) => !(hugepages && mergeable), {
      path: ['mergeable'],
      message: 'the kernel never merges huge pages: remove one of the two',
    })
    .prefault({ bytes: 256 * MiB }),
  /**
   * NUMA nodes; empty without NUMA. Each vCPU of `maxCpus` is in exactly one; their memory adds up to the machine's.
   */
  numa: z
    .array(
      z.strictObject({
        cpus: z.array(z.int().min(0)),
        bytes: z
          .int()
          .min(MiB)
          .refine(bytes => bytes % MiB === 0, 'a whole number of MiB'),
        distances: z.array(z.int().min(10).max(255)),
      }),
    )
    .max(16, 'at most 16 nodes')
    .default([]),
  /** What the machine boots, and how. */
  boot: z.discriminatedUnion('kind', [kernelBoot, firmwareBoot]),
  /** Devices beyond those that every machine has, in the order of their PCI slots. */
  devices: z.array(anyDeviceConfig).max(MAX_DEVICES, `at most ${MAX_DEVICES} devices`).default([]),
  /**
   * Root ports of bus 0 that are not devices, `root-port.1` and so on: in addition to those for devices that do not fit
   * on bus 0.
   */
  rootPorts: z
    .strictObject({
      /** Addresses of the first ones, `18.0`; the machine chooses those of the others. */
      at: z
        .array(z.string().refine(text => parsePciAddress(text) !== null, 'an address, such as 18.0'))
        .max(MAX_ROOT_PORTS, `at most ${MAX_ROOT_PORTS} root ports`)
        .default([]),
      /** Their minimum number. */
      count: z.int().min(0).max(MAX_ROOT_PORTS, `at most ${MAX_ROOT_PORTS} root ports`).default(0),
    })
    .prefault({}),
  /** The user's device modules, which the machine loads. */
  deviceModules: z
    .array(z.string().min(1, 'the path is empty'))
    .max(MAX_DEVICE_MODULES, `at most ${MAX_DEVICE_MODULES} device modules`)
    .default([]),
  /** A named CPU model (`Haswell`); default: the host's own CPU. */
  cpuModel: z.string().optional(),
  /** CPUID features to remove (`cx16`), and to add to a named model, by their /proc/cpuinfo names. */
  cpuFeatures: z
    .strictObject({ add: z.array(z.string()).default([]), remove: z.array(z.string()).default([]) })
    .prefault({}),
  /** Refuses to start if the host lacks a feature of the CPU. */
  cpuEnforce: z.boolean().default(false),
  /** Hides KVM's CPUID leaves from the guest. */
  hideHypervisor: z.boolean().default(false),
  /** Host CPUs for each vCPU thread, by vCPU index. */
  pin: z.array(z.int().min(0)).optional(),
  /** Overrides of the SMBIOS tables' defaults. */
  smbios: smbiosOptions.optional(),
  /** When the guest resets the machine: rebuild it, or stop it. The reset button always resets. */
  onReboot: z.enum(['restart', 'stop']).default('restart'),
  /** A VNC server for its screen, which its manager runs alongside it; default: none. */
  vnc: vncSettings.optional(),
  /** The initial time of its clock; default: UTC. */
  clock: z.string().refine(isClockStart, 'utc, localtime or a time, such as 2006-06-17T16:01:21').optional(),
  /** Whether the guest may enter the ACPI sleep states S3 and S4; default: both. */
  sleepStates: z.strictObject({ s3: z.boolean().default(true), s4: z.boolean().default(true) }).optional(),
  /**
   * How the machine's process is confined: as far as this host allows, or not at all; with `strict` it starts only if
   * all layers are on.
   */
  confine: z.enum(['default', 'strict', 'off']).default('default'),
});

/** The configuration of one machine: everything the machine thread needs, as plain data. */
export const machineConfig = fields.check(({ value, issues }) => {
  const { topology, pin, numa, memory } = value;
  const cpus = maxCpus(value);
  if (cpus < value.cpus) {
    const message = `expected at least ${value.cpus}, the number of vCPUs`;
    issues.push({ code: 'custom', path: ['maxCpus'], message, input: cpus });
  }
  const unknown = unknownType(value);
  if (unknown !== null)
    issues.push({
      code: 'custom',
      path: ['devices', unknown.index],
      message: unknown.message,
      input: value.devices,
    });
  const second = deviceTable.secondOfSingle(value.devices);
  if (second !== null)
    issues.push({
      code: 'custom',
      path: ['devices', second.index],
      message: second.message,
      input: value.devices,
    });
  // The machine, which knows the bus, places devices of a module's type.
  for (const { index, option, message } of placeDevices(deviceTable, value.devices, rootPortsOf(value))
    .problems)
    issues.push({ code: 'custom', path: ['devices', index, option], message, input: value.devices });
  if (numa.length > 0)
    checkNuma(numa, cpus, memory.bytes, message =>
      issues.push({ code: 'custom', path: ['numa'], message, input: numa }),
    );
  if (topology && topology.sockets * topology.cores * topology.threads !== cpus) {
    const { sockets, cores, threads } = topology;
    const product = `${sockets} x ${cores} x ${threads} = ${sockets * cores * threads}`;
    const message = `sockets x cores x threads (${product}) must equal the number of vCPUs, ${cpus}`;
    issues.push({ code: 'custom', path: ['topology'], message, input: topology });
  }
  if (pin && pin.length > cpus) {
    const message = `${pin.length} host CPUs for ${cpus} vCPU${cpus === 1 ? '' : 's'}`;
    issues.push({ code: 'custom', path: ['pin'], message, input: pin });
  }
});

/** The root ports that exist, by name, before any device is placed. */
export function rootPortsOf({ rootPorts: { at, count } }: Pick<MachineConfig, 'rootPorts'>): number {
  return Math.max(at.length, count);
}

function checkNuma(
  nodes: z.output<typeof fields>['numa'],
  cpus: number,
  bytes: number,
  problem: (message: string) => void,
): void {
  const assigned = nodes.flatMap(node => node.cpus).sort((a, b) => a - b);
  if (assigned.length !== cpus || assigned.some((cpu, index) => cpu !== index))
    problem(`each of the ${cpus} vCPUs must be in exactly one node`);
  if (nodes.reduce((sum, node) => sum + node.bytes, 0) !== bytes)
    problem('the memory of the nodes must add up to that of the machine');
  if (nodes.some(({ distances }) => distances.length !== nodes.length))
    problem(`each node needs ${nodes.length} distances, one to each node`);
}

export type MachineConfig = z.output<typeof machineConfig>;
export type BootConfig = MachineConfig['boot'];
export type KernelBoot = Extract<BootConfig, { kind: 'kernel' }>;
export type FirmwareSetting = FirmwareBoot['settings'][number];
export type FirmwareBoot = Extract<BootConfig, { kind: 'firmware' }>;
export type MachineConfigInput = z.input<typeof machineConfig>;

/** The path of a configuration key, and what was expected there. */
export type ConfigProblem = { readonly path: readonly PropertyKey[]; readonly message: string };

/** A configuration that breaks the schema. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ path, message }) => `${path.join('.') || 'configuration'}: ${message}`).join('; '));
    this.problems = problems;
  }
}

/** @throws ConfigError naming each wrong key, and what was expected there. */
export function parseMachineConfig(input: MachineConfigInput): MachineConfig {
  const parsed = machineConfig.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new ConfigError(parsed.error.issues);
}
