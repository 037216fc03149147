import { type Command, Option } from 'commander';
import { IMAGE_FORMATS, PREALLOCATIONS } from '../../engine/images/formats.ts';
import { withManual } from '../manual.ts';
import type { CheckOptions, ConvertOptions, CreateOptions, RebaseOptions, ResizeOptions } from './run.ts';

const json = (command: Command) => command.option('--json', 'print JSON');
const format = (command: Command) =>
  command.addOption(
    new Option('--format <format>', 'the format of the image (default: as its content looks)').choices(
      IMAGE_FORMATS,
    ),
  );

/** The commands about image files. Their code is loaded when they run. */
export function registerImageCommands(program: Command): void {
  const image = program.command('image').description('Create, convert, resize and check disk images');
  registerMaking(image);
  registerChanging(image);
  registerChains(image);
}

function registerMaking(image: Command): void {
  withManual(
    json(
      image
        .command('create')
        .argument('<image>', 'the new file')
        .argument('[size]', 'such as 20G; that of the backing file if there is one and this is left out')
        .description('Create an image')
        .addOption(
          new Option('--format <format>', 'its format (default: as its name ends, else qcow2)').choices(
            IMAGE_FORMATS,
          ),
        )
        .option(
          '--backing <image>',
          'the image that it begins as: a linked clone, which writes to its own file only',
        )
        .addOption(
          new Option(
            '--backing-format <format>',
            'the format of that (default: as its content looks)',
          ).choices(IMAGE_FORMATS),
        )
        .option('--cluster-size <size>', 'of a qcow2 image: 512 to 2M (default: 64K)')
        .addOption(
          new Option('--preallocation <kind>', 'space that is taken at once').choices(PREALLOCATIONS),
        ),
    ).action(async (path: string, size: string | undefined, options: CreateOptions) => {
      const { create } = await import('./run.ts');
      await create(path, size, options);
    }),
    {
      examples: [
        {
          command: 'vring image create web.qcow2 20G',
          does: 'an image that takes the space that its guest writes',
        },
        { command: 'vring image create web-2.qcow2 --backing web.qcow2', does: 'a linked clone of it' },
      ],
      json: [['image', 'the image, as `vring image info --json` prints it']],
    },
  );
  withManual(
    json(
      format(image.command('info').argument('<image>', 'the file').description('Show what an image is')),
    ).action(async (path: string, options: CheckOptions) => {
      const { info } = await import('./run.ts');
      await info(path, options);
    }),
    {
      json: [
        ['path, format', 'the file, and the format of its content'],
        ['size, allocated', 'bytes of the disk in it (null if not known), and of the file on disk'],
        ['backing', 'the files that back it, the next one first: `path` and `format`'],
        ['snapshots', 'of a qcow2 image: `id`, `name`, `seconds` since 1970, `vmStateBytes`'],
        ['problems', 'what is wrong with it'],
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
            'the format of the new file (default: as its name ends, else qcow2)',
          ).choices(IMAGE_FORMATS),
        )
        .addOption(
          new Option(
            '--from-format <format>',
            'the format of the image (default: as its content looks)',
          ).choices(IMAGE_FORMATS),
        )
        .option('--compress', 'compress the clusters of a qcow2 or vmdk image')
        .option('--force', 'replace a file that is there'),
    ).action(async (from: string, to: string, options: ConvertOptions) => {
      const { convert } = await import('./run.ts');
      process.exitCode = await convert(from, to, options);
    }),
    {
      text: [
        'The new file is there when all of it is: an interrupted conversion leaves nothing. qemu-img converts, and has to be installed.',
      ],
      examples: [
        {
          command: 'vring image convert appliance.vmdk appliance.qcow2',
          does: 'what another hypervisor exported',
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
        .argument('<size>', 'such as 40G, or +10G for so much more')
        .description('Give the disk in an image that no VM uses a new size')
        .option('--shrink', 'also a smaller one: what is beyond it is lost'),
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
          .description('Look for errors in the tables of an image that no VM uses')
          .option('--repair', 'repair what can be repaired'),
      ),
    ).action(async (path: string, options: CheckOptions) => {
      const { check } = await import('./run.ts');
      process.exitCode = await check(path, options);
    }),
    {
      json: [
        ['errors, leaks', 'errors that are left, and clusters that nothing uses, which cost space only'],
        ['repaired', 'what has been repaired'],
      ],
    },
  );
}

function registerChains(image: Command): void {
  const snapshot = image.command('snapshot').description('Snapshots inside of a qcow2 image that no VM uses');
  json(snapshot.command('list').argument('<image>', 'the file').description('List them')).action(
    async (path: string, options: CheckOptions) => {
      const { listSnapshots } = await import('./run.ts');
      await listSnapshots(path, options);
    },
  );
  for (const [action, description] of [
    ['create', 'Keep the disk as it is now, under a name'],
    ['apply', 'Have the disk as it was: what it has now is lost'],
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
      .description('Write what an image has into its backing file'),
  ).action(async (path: string, options: CheckOptions) => {
    const { commit } = await import('./run.ts');
    process.exitCode = await commit(path, options);
  });
  json(
    image
      .command('rebase')
      .argument('<image>', 'the file')
      .description('Give an image another backing file')
      .option('--backing <image>', 'the new one; left out: none, and the image has everything itself')
      .addOption(
        new Option('--backing-format <format>', 'its format (default: as its content looks)').choices(
          IMAGE_FORMATS,
        ),
      )
      .option('--unsafe', 'change the name only, as after a file was moved'),
  ).action(async (path: string, options: RebaseOptions) => {
    const { rebase } = await import('./run.ts');
    process.exitCode = await rebase(path, options);
  });
}
