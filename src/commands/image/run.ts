import {
  type Backing,
  changeSnapshot,
  checkImage,
  commitImage,
  convertImage,
  createImage,
  namedBacking,
  rebaseImage,
  resizeImage,
} from '../../engine/images/change-image.ts';
import { formatOfName, type ImageFormat, type Preallocation } from '../../engine/images/formats.ts';
import { type ImageFacts, imageFacts } from '../../engine/images/image-info.ts';
import type { QemuImgOptions } from '../../engine/images/qemu-img.ts';
import { parseSize } from '../../text/option-values.ts';
import { printLines } from '../../text/output.ts';
import { printable } from '../../text/printable.ts';
import { bytes } from '../../text/units.ts';
import { UsageError } from '../../text/usage-error.ts';
import { endingSignal } from '../ending-signal.ts';
import { printJson } from '../host/host-options.ts';
import { tableLines } from '../host/table.ts';
import { Progress } from '../vm/progress.ts';

export type Json = { readonly json?: boolean };
export type CreateOptions = Json & {
  readonly format?: ImageFormat;
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly clusterSize?: string;
  readonly preallocation?: Preallocation;
};
export type ConvertOptions = Json & {
  readonly format?: ImageFormat;
  readonly fromFormat?: string;
  readonly compress?: boolean;
  readonly force?: boolean;
};
export type ResizeOptions = Json & { readonly format?: string; readonly shrink?: boolean };
export type CheckOptions = Json & { readonly format?: string; readonly repair?: boolean };
export type RebaseOptions = Json & {
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly unsafe?: boolean;
};

export async function create(file: string, size: string | undefined, options: CreateOptions): Promise<void> {
  if (size === undefined && options.backing === undefined)
    throw new UsageError('vring image create: give a size, such as 20G, or --backing');
  const backing = await backingOf(file, options);
  const { format = formatOfName(file) } = options;
  await createImage({
    path: file,
    format,
    size: size === undefined ? undefined : parseSize(size, 'SIZE'),
    backing: backing ?? undefined,
    clusterSize:
      options.clusterSize === undefined ? undefined : parseSize(options.clusterSize, '--cluster-size'),
    preallocation: options.preallocation,
  });
  await made(file, format, options);
}

export async function info(file: string, options: CheckOptions): Promise<void> {
  const facts = await imageFacts(file, options.format);
  print(options, facts, () => infoLines(facts));
}

export async function convert(from: string, to: string, options: ConvertOptions): Promise<number> {
  const { format = formatOfName(to), fromFormat, compress = false, force = false } = options;
  const conversion = { from, fromFormat, to, format, compress, force };
  const status = await cancelable(`converting ${from}`, run => convertImage(conversion, run));
  if (status === 0) await made(to, format, options);
  return status;
}

export async function resize(file: string, size: string, options: ResizeOptions): Promise<void> {
  const { format, shrink = false } = options;
  const given = parseSize(size.replace(/^\+/, ''), 'SIZE');
  const before = size.startsWith('+') ? (await imageFacts(file, format)).size : 0;
  if (before === null)
    throw new Error(`the size of ${file} is not known: give the new size, not an increment`);
  await resizeImage(file, { format, size: before + given, shrink });
  await made(file, format, options);
}

export async function check(file: string, options: CheckOptions): Promise<number> {
  const { format, repair = false } = options;
  const found = await checkImage(file, { format, repair });
  print(options, found, () => [
    ...(found.repaired > 0 ? [`repaired: ${found.repaired}`] : []),
    found.errors === 0
      ? 'no errors'
      : `errors: ${found.errors}; repair them with vring image check --repair ${file}`,
    ...(found.leaks > 0 ? [`leaked clusters: ${found.leaks} (they only cost space)`] : []),
  ]);
  return found.errors === 0 ? 0 : 1;
}

export async function listSnapshots(file: string, options: Json): Promise<void> {
  const { snapshots } = await imageFacts(file, 'qcow2');
  print(options, { snapshots }, () =>
    snapshots.length === 0
      ? [`${file} has no snapshots`]
      : tableLines(
          snapshots,
          [
            { title: 'NAME', text: ({ name }) => name, least: 8 },
            { title: 'ID', text: ({ id }) => id },
            { title: 'TAKEN', text: ({ seconds }) => new Date(seconds * 1000).toISOString() },
            {
              title: 'VM STATE',
              text: ({ vmStateBytes }) => (vmStateBytes === 0 ? '' : bytes(vmStateBytes)),
            },
          ],
          process.stdout.columns || Number.POSITIVE_INFINITY,
        ),
  );
}

export async function snapshotAction(
  file: string,
  action: 'create' | 'apply' | 'delete',
  name: string,
  options: Json,
): Promise<void> {
  await changeSnapshot(file, action, name);
  const { snapshots } = await imageFacts(file, 'qcow2');
  const words = { create: 'created', apply: 'applied', delete: 'deleted' };
  print(options, { snapshots }, () => [`snapshot ${name} of ${file} ${words[action]}`]);
}

export async function commit(file: string, options: Json): Promise<number> {
  let into = '';
  const status = await cancelable(`committing ${file}`, async run => {
    into = await commitImage(file, run);
  });
  if (status === 0) print(options, { image: file, into }, () => [`${file} is committed to ${into}`]);
  return status;
}

export async function rebase(file: string, options: RebaseOptions): Promise<number> {
  const backing = await backingOf(file, options);
  const { unsafe = false } = options;
  const status = await cancelable(`rebasing ${file}`, run => rebaseImage(file, { backing, unsafe }, run));
  if (status === 0) await made(file, 'qcow2', options);
  return status;
}

async function backingOf(
  file: string,
  { backing, backingFormat }: { readonly backing?: string; readonly backingFormat?: string },
): Promise<Backing | null> {
  return backing === undefined ? null : await namedBacking(file, backing, backingFormat);
}

async function made(file: string, format: string | undefined, options: Json): Promise<void> {
  const facts = await imageFacts(file, format);
  print(options, { image: facts }, () => infoLines(facts));
}

/** Runs an operation with a progress line; a signal cancels it. @returns the exit status */
async function cancelable(what: string, run: (options: QemuImgOptions) => Promise<unknown>): Promise<number> {
  let percent = 0;
  const progress = new Progress(() => `${what}: ${Math.floor(percent)}%`);
  const { status, ignore } = endingSignal();
  const controller = new AbortController();
  let ended = 0;
  void status.then(code => {
    ended = code;
    controller.abort();
  });
  try {
    await run({
      signal: controller.signal,
      progress: now => {
        percent = now;
      },
    });
    return 0;
  } catch (error) {
    if (ended === 0) throw error;
    return ended;
  } finally {
    ignore();
    progress.end();
  }
}

function infoLines({
  path: file,
  format,
  size,
  allocated,
  backing,
  snapshots,
  problems,
  details,
}: ImageFacts): string[] {
  const { clusterSize, compression } = details;
  const facts: [string, string][] = [
    ['image', file],
    ['format', format],
    ['size', size === null ? 'not known' : `${bytes(size)} (${size} bytes)`],
    ['on disk', bytes(allocated)],
    ...(clusterSize === undefined
      ? []
      : [['clusters', `${bytes(Number(clusterSize))}, ${compression}`] as [string, string]]),
    ...backing.map((below): [string, string] => [
      'backed by',
      `${below.path} (${below.format ?? 'format not given'})`,
    ]),
    ...(snapshots.length === 0
      ? []
      : [['snapshots', snapshots.map(({ name }) => name).join(', ')] as [string, string]]),
    ...problems.map((problem): [string, string] => ['problem', problem]),
  ];
  return facts.map(([label, text]) => `${`${label}:`.padEnd(11)}${text}`);
}

function print({ json = false }: Json, value: object, lines: () => readonly string[]): void {
  if (json) printJson(value);
  else printLines(...lines().map(line => printable(line)));
}
