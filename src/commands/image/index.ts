import { type Command, Option } from 'commander';
import { IMAGE_FORMATS, PREALLOCATIONS } from '../../engine/images/formats.ts';
import { listCommand } from '../list-command.ts';
import { withManual } from '../manual.ts';
import { withVmList } from '../vm/with-vm-list.ts';
import type {
  CheckOptions,
  ConvertOptions,
  CreateOptions,
  Json,
  RebaseOptions,
  ResizeOptions,
} from './run.ts';

const json = (command: Command) => command.option('--json', 'print JSON');
const format = (command: Command) =>
  command.addOption(
    new Option('--format <format>', 'the format of the image (default: probed)').choices(IMAGE_FORMATS),
  );

/** The commands about image files. Their code is loaded when they run. */
export function registerImageCommands(program: Command): void {
  const image = program.command('image').description('List, create, convert, resize and check disk images');
  registerList(image);
  registerMaking(image);
  registerChanging(image);
  registerChains(image);
}

function registerList(image: Command): void {
  withManual(
    json(
      listCommand(image).description('List the disk images of VMs, and others in the same folders'),
    ).action(async (options: Json) => {
      const { listImages } = await import('./list.ts');
      await withVmList(vmList => listImages(vmList, options));
    }),
    {
      text: [
        'Files of other folders are listed if their names end like those of images. `(off)` follows a VM that ' +
          'gets the image, or one that it backs, at its next start.',
      ],
      json: [
        ['images', 'each image, as `vring image info --json` prints it, and:'],
        ['format', 'null if it cannot be read: then `problems` says why'],
        [
          'definedFormat, definedIn',
          'the format that a definition gives (or null), and the VMs that have it in theirs',
        ],
        ['vms', 'the VMs that use it or an image that it backs; `(off)` after those that will'],
        ['backs', 'the images that it backs'],
        ['folder', 'the folder of new disks'],
        ['problems', 'other files and folders that cannot be read'],
      ],
    },
  );
}

function registerMaking(image: Command): void {
  withManual(
    json(
      image
        .command('create')
        .argument('<image>', 'the new file')
        .argument('[size]', 'such as 20G (default: the size of the backing file)')
        .description('Create an image')
        .addOption(
          new Option('--format <format>', 'its format (default: by its file name, else qcow2)').choices(
            IMAGE_FORMATS,
          ),
        )
        .option('--backing <image>', 'make it a linked clone of this image, which is only read')
        .addOption(
          new Option(
            '--backing-format <format>',
            'the format of the backing image (default: probed)',
          ).choices(IMAGE_FORMATS),
        )
        .option('--cluster-size <size>', 'cluster size of a qcow2 image: 512 to 2M (default: 64K)')
        .addOption(
          new Option('--preallocation <kind>', 'space to allocate in advance').choices(PREALLOCATIONS),
        ),
    ).action(async (path: string, size: string | undefined, options: CreateOptions) => {
      const { create } = await import('./run.ts');
      await create(path, size, options);
    }),
    {
      examples: [
        {
          command: 'vring image create web.qcow2 20G',
          does: 'an image that grows as its guest writes',
        },
        { command: 'vring image create web-2.qcow2 --backing web.qcow2', does: 'a linked clone of it' },
      ],
      json: [['image', 'the image, as `vring image info --json` prints it']],
    },
  );
  withManual(
    json(
      format(
        image
          .command('info')
          .argument('<image>', 'the file')
          .description('Show the format, size and backing files of an image'),
      ),
    ).action(async (path: string, options: CheckOptions) => {
      const { info } = await import('./run.ts');
      await info(path, options);
    }),
    {
      json: [
        ['path, format', 'the file, and the format of its content'],
        ['size, allocated', 'bytes of the disk in it (null if not known), and of the file on disk'],
        ['backing', 'its backing files, the nearest first: `path` and `format`'],
        ['snapshots', 'of a qcow2 image: `id`, `name`, `seconds` since 1970, `vmStateBytes`'],
        ['problems', 'errors in it'],
        ['details', 'of a qcow2 image: `version`, `clusterSize`, `refcountBits`, `compression` and flags'],
      ],
    },
  );
  withManual(
    json(
      image
        .command('convert')
        .argument('<from>', 'the image')
        .argument('<to>', 'the new file')
        .description('Copy an image into another format')
        .addOption(
          new Option(
            '--format <format>',
            'the format of the new file (default: by its name, else qcow2)',
          ).choices(IMAGE_FORMATS),
        )
        .addOption(
          new Option('--from-format <format>', 'the format of the image (default: probed)').choices(
            IMAGE_FORMATS,
          ),
        )
        .option('--compress', 'compress the clusters of a qcow2 or vmdk image')
        .option('--force', 'replace an existing file'),
    ).action(async (from: string, to: string, options: ConvertOptions) => {
      const { convert } = await import('./run.ts');
      process.exitCode = await convert(from, to, options);
    }),
    {
      text: [
        'The new file appears only when it is complete: an interrupted conversion leaves nothing behind. This ' +
          'requires qemu-img.',
      ],
      examples: [
        {
          command: 'vring image convert appliance.vmdk appliance.qcow2',
          does: 'an image exported by another hypervisor',
        },
      ],
      json: [['image', 'the new image, as `vring image info --json` prints it']],
    },
  );
}

function registerChanging(image: Command): void {
  json(
    format(
      image
        .command('resize')
        .argument('<image>', 'the file')
        .argument('<size>', 'the new size, such as 40G, or +10G to add to it')
        .description('Resize an image that no VM uses')
        .option('--shrink', 'allow a smaller size: data beyond it is lost'),
    ),
  ).action(async (path: string, size: string, options: ResizeOptions) => {
    const { resize } = await import('./run.ts');
    await resize(path, size, options);
  });
  withManual(
    json(
      format(
        image
          .command('check')
          .argument('<image>', 'the file')
          .description('Check the tables of an image that no VM uses for errors')
          .option('--repair', 'repair what can be repaired'),
      ),
    ).action(async (path: string, options: CheckOptions) => {
      const { check } = await import('./run.ts');
      process.exitCode = await check(path, options);
    }),
    {
      json: [
        ['errors, leaks', 'remaining errors, and leaked clusters, which only waste space'],
        ['repaired', 'what was repaired'],
      ],
    },
  );
}

function registerChains(image: Command): void {
  const snapshot = image
    .command('snapshot')
    .description('Manage internal snapshots of a qcow2 image that no VM uses');
  json(snapshot.command('list').argument('<image>', 'the file').description('List them')).action(
    async (path: string, options: CheckOptions) => {
      const { listSnapshots } = await import('./run.ts');
      await listSnapshots(path, options);
    },
  );
  for (const [action, description] of [
    ['create', 'Take a snapshot'],
    ['apply', 'Revert the disk to a snapshot; its current content is lost'],
    ['delete', 'Delete a snapshot'],
  ] as const) {
    json(
      snapshot
        .command(action)
        .argument('<image>', 'the file')
        .argument('<name>', 'the name of the snapshot')
        .description(description),
    ).action(async (path: string, name: string, options: CheckOptions) => {
      const { snapshotAction } = await import('./run.ts');
      await snapshotAction(path, action, name, options);
    });
  }
  json(
    image
      .command('commit')
      .argument('<image>', 'an image with a backing file')
      .description('Write the content of an image to its backing file'),
  ).action(async (path: string, options: CheckOptions) => {
    const { commit } = await import('./run.ts');
    process.exitCode = await commit(path, options);
  });
  json(
    image
      .command('rebase')
      .argument('<image>', 'the file')
      .description('Change the backing file of an image')
      .option('--backing <image>', 'the new backing file (default: none: the image then contains everything)')
      .addOption(
        new Option('--backing-format <format>', 'its format (default: probed)').choices(IMAGE_FORMATS),
      )
      .option('--unsafe', 'only change the name, for instance after the file was moved'),
  ).action(async (path: string, options: RebaseOptions) => {
    const { rebase } = await import('./run.ts');
    process.exitCode = await rebase(path, options);
  });
}
