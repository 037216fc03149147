import type * as z from 'zod';
import { diskFields, diskOptionsOf } from '../../backends/disk.ts';
import { identityText, physicalBlock } from '../../backends/drive-fields.ts';
import { bootFields } from '../../boot-device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { NvmeController } from './controller.ts';
import { DiskNamespace } from './disk-namespace.ts';
import { nameBasedUuid } from './identifiers.ts';
import { BOOT_NODE, MAX_NAMESPACES, NamespaceBus, namespacePath } from './namespace-bus.ts';
import { NvmeDisk } from './nvme-disk.ts';
import { MAX_QUEUES } from './registers.ts';

const MODEL = 'VRING NVMe Ctrl';
const FIRMWARE = '1.0';
/** Requests of a namespace that the host has at a time. */
const DEPTH = 64;

function controllerFields(z: Zod) {
  return {
    serial: identityText(z, 20).describe(
      "the serial number that the guest reads (default: the device's name)",
    ),
    queues: z
      .int()
      .min(1, 'at least 1 pair of queues')
      .max(MAX_QUEUES, `at most ${MAX_QUEUES} pairs of queues`)
      .default(MAX_QUEUES)
      .describe('pairs of queues that the guest may create, of which most guests use one for each vCPU'),
  };
}

function namespaceFields(z: Zod) {
  return {
    'logical-block-size': z
      .int()
      .refine(bytes => [512, 1024, 2048, 4096].includes(bytes), '512, 1024, 2048 or 4096')
      .default(512)
      .describe('bytes of a block'),
    'physical-block-size': z
      .int()
      .refine(bytes => [512, 1024, 2048, 4096].includes(bytes), '512, 1024, 2048 or 4096')
      .optional()
      .describe("bytes of a block of the medium (default: as the host's disk has them)"),
    uuid: z
      .string()
      .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'a UUID')
      .optional()
      .describe('the UUID that identifies its namespace (default: one that follows from its name)'),
    nguid: z
      .string()
      .regex(/^([0-9a-f]{2}-?){15}[0-9a-f]{2}$/i, '32 hexadecimal digits')
      .optional()
      .describe('a globally unique identifier of 16 bytes (default: none)'),
    eui64: z
      .string()
      .regex(/^0x[0-9a-f]{1,16}$/i, 'an identifier such as 0x5254000000000001')
      .optional()
      .describe('an IEEE identifier of 8 bytes (default: none)'),
  };
}

/** QEMU's properties for these options. */
const CONTROLLER_PROPERTIES = { serial: 'serial', max_ioqpairs: 'queues' } as const;
const DISK_PROPERTIES = { drive: 'path', bootindex: 'bootindex' } as const;
const BLOCK_PROPERTIES = {
  logical_block_size: 'logical-block-size',
  physical_block_size: 'physical-block-size',
} as const;

const diskOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'nvme'),
    ...diskFields(z),
    ...bootFields(z),
    ...controllerFields(z),
    ...namespaceFields(z),
  });

/** A controller with one namespace: QEMU's `nvme` with a drive. */
export const nvme: ConfigurableType<ReturnType<typeof diskOptions>> = {
  type: 'nvme',
  title: 'NVMe disk',
  description: 'an NVMe controller with one disk, backed by an image file or a block device of the host',
  bus: 'pci',
  backend: 'disk',
  definition: { key: 'disks', value: 'nvme' },
  libvirt: { element: 'disk', models: ['nvme'] },
  prefix: 'nvme',
  qemu: {
    devices: ['nvme'],
    properties: { ...DISK_PROPERTIES, ...CONTROLLER_PROPERTIES, ...BLOCK_PROPERTIES },
  },
  config: diskOptions,
  queues: () => 1,
  create(services, options, name) {
    const controller = createController(services, name, options, 1);
    const namespace = createNamespace(services, name, 'nvme', options, options.serial);
    return {
      device: new NvmeDisk(controller, namespace),
      pci: controller.function,
      boot: {
        kind: 'disk',
        index: options.bootindex,
        node: BOOT_NODE,
        below: namespacePath(1, namespace.identity.eui64),
      },
      capabilities: { disk: namespace.drive },
      get facts() {
        return [...namespace.drive.facts, { label: 'serial', value: options.serial ?? name }];
      },
    };
  },
};

const controllerOptions = (z: Zod) =>
  z.strictObject({ ...deviceFields(z, 'nvme-controller'), ...controllerFields(z) });

/** QEMU's `nvme` without a drive. */
export const nvmeController: ConfigurableType<ReturnType<typeof controllerOptions>> = {
  type: 'nvme-controller',
  title: 'NVMe controller',
  description: 'an NVMe controller without a disk of its own, for any number of namespaces (nvme-ns)',
  bus: 'pci',
  provides: { kind: 'nvme', first: 1, units: MAX_NAMESPACES },
  prefix: 'nvmec',
  libvirt: { element: 'controller', models: ['nvme'] },
  qemu: { devices: [], properties: CONTROLLER_PROPERTIES },
  config: controllerOptions,
  create(services, options, name) {
    const controller = createController(services, name, options, MAX_NAMESPACES);
    return {
      device: controller,
      pci: controller.function,
      bus: new NamespaceBus(controller),
      get facts() {
        return [
          { label: 'serial', value: options.serial ?? name },
          { label: 'namespaces', value: controller.namespaces.size },
        ];
      },
    };
  },
};

const namespaceOptions = (z: Zod) =>
  z.strictObject({
    ...deviceFields(z, 'nvme-ns'),
    ...diskFields(z),
    ...bootFields(z),
    ...namespaceFields(z),
  });

export const nvmeNamespace: ConfigurableType<ReturnType<typeof namespaceOptions>> = {
  type: 'nvme-ns',
  title: 'NVMe namespace',
  description: 'a disk of an NVMe controller, of which addr is the namespace identifier',
  bus: 'nvme',
  backend: 'disk',
  prefix: 'ns',
  qemu: {
    devices: ['nvme-ns'],
    properties: {
      ...DISK_PROPERTIES,
      ...BLOCK_PROPERTIES,
      ...{ nsid: 'addr', uuid: 'uuid', nguid: 'nguid', eui64: 'eui64' },
    },
  },
  config: namespaceOptions,
  queues: () => 1,
  create(services, options, name) {
    const namespace = createNamespace(services, name, 'nvme-ns', options);
    return {
      device: namespace,
      nvme: namespace,
      boot: { kind: 'disk', index: options.bootindex },
      capabilities: { disk: namespace.drive },
      get facts() {
        return namespace.drive.facts;
      },
    };
  },
};

type ControllerOptions = z.output<z.ZodObject<ReturnType<typeof controllerFields>>>;

function createController(
  services: MachineServices,
  name: string,
  { serial = name, queues }: ControllerOptions,
  lastNamespace: number,
): NvmeController {
  // Controllers with the same name of a subsystem would be paths to the same disks: serial numbers may be equal.
  const subsystem = `nqn.2014-08.org.nvmexpress:uuid:${nameBasedUuid(`subsystem ${name} ${serial}`).text}`;
  const identity = { serial, model: MODEL, firmware: FIRMWARE, subsystem };
  return new NvmeController({ name, identity, queues, lastNamespace }, services);
}

type NamespaceOptions = z.output<ReturnType<typeof namespaceOptions>>;

function createNamespace(
  services: MachineServices,
  name: string,
  type: string,
  options: Omit<NamespaceOptions, 'type'>,
  serial = '',
): DiskNamespace {
  const { limits = {}, uuid, nguid = '', eui64 = '0x0', 'logical-block-size': block } = options;
  const physical = options['physical-block-size'];
  if (physical !== undefined && physical < block)
    throw new Error(
      `${name}: a physical block of ${physical} bytes is smaller than a logical one of ${block}`,
    );
  return new DiskNamespace(
    services,
    { name, type, medium: diskOptionsOf(options), limits, depth: DEPTH },
    {
      block,
      uuid: uuid === undefined ? nameBasedUuid(`namespace ${name} ${serial}`).bytes : fromHex(uuid, 16),
      nguid: fromHex(nguid, 16),
      eui64: fromHex(eui64.slice(2), 8),
    },
    disk => physical ?? physicalBlock(block, disk),
  );
}

/** Bytes of hexadecimal digits, of which leading zeros may be missing. */
function fromHex(text: string, length: number): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll('-', '').padStart(2 * length, '0'), 'hex'));
}
