import * as z from 'zod';
import {
  defaultErrorPolicy,
  diskCaches,
  diskErrorActions,
  diskFormats,
  FAT_LABEL,
  FAT_LABEL_RULE,
  isFolder,
  zeroDetections,
} from '../../devices/backends/disk.ts';
import { transportFields } from '../../devices/virtio/transport-options.ts';
import { diskLimits } from './disk-limits.ts';
import { asSentences, hostPath, place } from './text.ts';

const DISK_BUSES = ['virtio', 'scsi', 'sata', 'nvme', 'ide', 'floppy', 'usb', 'sd'] as const;
const CD_BUSES: readonly string[] = ['sata', 'ide', 'scsi'];

const settings = z.strictObject({
  file: hostPath.optional().meta({
    description:
      'The image file, block device or folder (`format: fat`) on the host. A CD-ROM or floppy drive without one is empty.',
    examples: ['/var/lib/vring/disks/web.img'],
  }),
  bus: z
    .enum(DISK_BUSES)
    .optional()
    .meta({
      description: 'How the disk is attached. Default: virtio, or scsi for a CD-ROM.',
      examples: ['scsi'],
    }),
  addr: place.optional().meta({
    description:
      'Its place: a PCI slot, in hexadecimal, its target and unit on its SCSI controller ("3:0"), or the ' +
      'number of its port or drive. Default: the first free one.',
    examples: ['05.0'],
  }),
  format: z
    .enum(diskFormats)
    .optional()
    .meta({
      description:
        'The format of the file. By default, the file is probed: raw disks, and qcow2 images without a backing ' +
        'file, are accepted; everything else is refused. fat (FAT16, or FAT32 if needed), fat32 and fat-floppy make a ' +
        'disk of the files that a folder has when the VM starts, readonly or transient.',
      examples: ['qcow2'],
    }),
  label: z
    .string()
    .regex(FAT_LABEL, FAT_LABEL_RULE)
    .optional()
    .meta({
      description: 'The label of the file system that a folder becomes. Default: VRING.',
      examples: ['CIDATA'],
    }),
  cdrom: z
    .boolean()
    .default(false)
    .meta({ description: 'A CD-ROM, which is read-only.', examples: [true] }),
  readonly: z
    .boolean()
    .default(false)
    .meta({ description: 'The guest cannot write to it.', examples: [true] }),
  transient: z
    .boolean()
    .default(false)
    .meta({
      description:
        'What the guest writes is discarded when the VM ends. The file is only read, so several such VMs may share it.',
      examples: [true],
    }),
  cache: z
    .enum(diskCaches)
    .default('writeback')
    .meta({
      description:
        "writeback uses the host's page cache; none bypasses it; writethrough and directsync are the same, " +
        'with every write durable when it completes; unsafe ignores flushes.',
      examples: ['none'],
    }),
  discard: z
    .enum(['unmap', 'ignore'])
    .default('unmap')
    .meta({
      description: 'Whether space that the guest discards is returned to the host.',
      examples: ['ignore'],
    }),
  'detect-zeroes': z
    .enum(zeroDetections)
    .default('off')
    .meta({
      description:
        'Turn writes of zeros into zeroing the range (on), and also release its space (unmap). Detection costs ' +
        'CPU time.',
      examples: ['unmap'],
    }),
  rerror: z
    .enum(['report', 'ignore', 'stop'])
    .default(defaultErrorPolicy.rerror)
    .meta({
      description:
        'When the host fails to read: report an error to the guest, ignore it, or pause the VM until it is resumed.',
      examples: ['stop'],
    }),
  werror: z
    .enum(diskErrorActions)
    .default(defaultErrorPolicy.werror)
    .meta({
      description:
        'The same when the host fails to write; enospc pauses the VM if no space is left, and reports other errors.',
      examples: ['stop'],
    }),
  serial: z
    .string()
    .regex(/^[\x20-\x7e]{1,20}$/, '1 to 20 printable ASCII characters')
    .optional()
    .meta({ description: 'The serial number that the guest sees.', examples: ['WD-1'] }),
  bootindex: z
    .int()
    .min(0, 'at least 0')
    .max(999_999_999, 'at most 999999999')
    .optional()
    .meta({ description: "Its position in the firmware's boot order.", examples: [1] }),
  queues: z
    .int()
    .min(1, 'at least 1 queue')
    .max(16, 'at most 16 queues')
    .default(1)
    .meta({ description: 'Request queues (virtio), each with its own thread.', examples: [2] }),
  virtio: z
    .strictObject(asSentences(transportFields(z)))
    .optional()
    .meta({
      description: 'Features that the device offers to the driver (virtio), for tests and comparisons.',
    }),
  limits: diskLimits.optional().meta({ description: 'Rate limits of the disk.' }),
});

const disk = settings.transform((value, context) => {
  const bus = value.bus ?? (value.cdrom ? 'scsi' : 'virtio');
  const problem = (key: string, message: string, input: unknown) => {
    context.addIssue({ code: 'custom', path: [key], message, input });
    return z.NEVER;
  };
  if (value.file === undefined && !value.cdrom && bus !== 'floppy')
    return problem(
      'file',
      'expected the image file or block device: only a CD-ROM or floppy drive can be empty',
      undefined,
    );
  if (value.cdrom && !CD_BUSES.includes(bus))
    return problem('bus', 'a CD-ROM must be on bus sata, ide or scsi', bus);
  if (isFolder(value.format)) {
    if (value.cdrom) return problem('format', 'a CD-ROM cannot be made of a folder', value.format);
    if (!value.readonly && !value.transient)
      return problem(
        'format',
        'nothing that the guest writes returns to the folder: set readonly: true, or transient: true if what it ' +
          'writes may be lost',
        value.format,
      );
    if (bus === 'floppy' && value.format !== 'fat-floppy')
      return problem('format', 'a floppy disk that is made of a folder has format fat-floppy', value.format);
  }
  if (value.label !== undefined && !isFolder(value.format))
    return problem('label', 'only a disk that is made of a folder has one (format: fat)', value.label);
  if (value.transient && (value.cdrom || value.readonly))
    return problem('transient', 'the guest cannot write to it: leave this out', true);
  if (value['detect-zeroes'] === 'unmap' && value.discard === 'ignore')
    return problem('detect-zeroes', 'unmap gives space back, which discard: ignore forbids: use on', 'unmap');
  if (value.serial !== undefined && bus === 'floppy')
    return problem('serial', 'a floppy disk has no serial number', value.serial);
  if (value.queues > 1 && bus !== 'virtio')
    return problem('queues', `only a disk on bus virtio can have more than one queue`, value.queues);
  if (value.virtio !== undefined && bus !== 'virtio')
    return problem('virtio', 'only a disk on bus virtio has these settings', value.virtio);
  return { ...value, bus, readonly: value.readonly || value.cdrom };
});

export type Disk = z.output<typeof disk>;
export type DiskInput = z.input<typeof disk>;

export const disks = z.array(disk).max(64, 'at most 64 disks').default([]);
