import { dirname } from 'node:path';
import {
  changeSnapshot,
  checkImage,
  convertImage,
  createImage,
  type NewImage,
  namedBacking,
  resizeImage,
} from '../engine/images/change-image.ts';
import type { QemuImgOptions } from '../engine/images/qemu-img.ts';
import { makeFolders } from '../files/make-folders.ts';
import type { HostImage } from '../host-service/images.ts';
import { sizeText } from '../text/size.ts';
import { percent } from '../text/units.ts';
import type { Ui } from './ui.ts';

// The code that changes images, as `vring image` does. Loaded when first needed.

/** Creates an image. @param backing the backing file; null if none */
export async function create(
  ui: Ui,
  image: Omit<NewImage, 'backing'>,
  backing: string | null,
): Promise<string> {
  const { path } = image;
  const folder = ui.store.getState().images?.folder;
  if (dirname(path) === folder) makeFolders(folder, 0o700);
  const below = backing === null ? undefined : await namedBacking(path, backing);
  await withProgress(ui, `Creating ${path}`, options => createImage({ ...image, backing: below }, options));
  return `${path} is created`;
}

export async function convert(ui: Ui, conversion: Parameters<typeof convertImage>[0]): Promise<string> {
  const { from, to } = conversion;
  await withProgress(ui, `Converting ${from}`, options => convertImage(conversion, options));
  return `${from} is converted to ${to}`;
}

export async function resize(
  ui: Ui,
  { path, definedFormat }: HostImage,
  size: number,
  shrink: boolean,
): Promise<string> {
  await changing(ui, () => resizeImage(path, { format: definedFormat ?? undefined, size, shrink }));
  return `${path} has ${sizeText(size)} now`;
}

export async function changeSnapshots(
  ui: Ui,
  path: string,
  action: 'create' | 'apply' | 'delete',
  name: string,
): Promise<string> {
  await changing(ui, () => changeSnapshot(path, action, name));
  const words = { create: 'created', apply: 'applied', delete: 'deleted' };
  return `snapshot ${name} of ${path} ${words[action]}`;
}

/** Reports what is wrong with an image's tables, and offers to repair it. */
export async function check(ui: Ui, image: HostImage, repair = false): Promise<void> {
  const { path, definedFormat } = image;
  const found = await withProgress(ui, `${repair ? 'Repairing' : 'Checking'} ${path}`, options =>
    checkImage(path, { format: definedFormat ?? undefined, repair }, options),
  );
  const { errors, leaks, repaired } = found;
  const fixed = repaired === 0 ? '' : `; ${repaired} repaired`;
  if (errors === 0 && leaks === 0) {
    ui.notify('info', `${path}: no errors${fixed}`);
    return;
  }
  const body = [
    `Errors: ${errors}${fixed}`,
    ...(leaks === 0 ? [] : [`Leaked clusters: ${leaks} (they only cost space)`]),
  ];
  ui.choose(path, body.join('\n'), [
    { label: 'Close' },
    ...(ui.readOnly === null && !repair
      ? [{ label: 'Repair', run: () => void ui.attempt(check(ui, image, true)) }]
      : []),
  ]);
}

/** Shows the progress of an operation, with a button that cancels it. */
async function withProgress<Result>(
  ui: Ui,
  title: string,
  run: (options: QemuImgOptions) => Promise<Result>,
): Promise<Result> {
  const abort = new AbortController();
  const stop = { label: 'Stop', run: () => abort.abort(new Error('stopped')) };
  const dialog = ui.choose(title, '', [stop]);
  try {
    return await changing(ui, closing =>
      run({
        signal: AbortSignal.any([abort.signal, closing]),
        progress: now => dialog.change({ body: percent(now / 100) }),
      }),
    );
  } finally {
    dialog.close();
  }
}

async function changing<Result>(ui: Ui, run: (closing: AbortSignal) => Promise<Result>): Promise<Result> {
  try {
    return await ui.begin(run);
  } finally {
    ui.images.refresh();
  }
}
