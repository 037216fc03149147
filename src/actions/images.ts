import { basename } from 'node:path';
import { type ImageRow, imageFacts } from '../view/image-rows.ts';
import type { Action, ActionContext } from './action.ts';
import {
  openConvertForm,
  openCreateForm,
  openResizeForm,
  openSnapshotForm,
  openTakeForm,
} from './image-forms.ts';
import { readFacts } from './read-facts.ts';

function rowAtCursor({ ui, state }: ActionContext): ImageRow | undefined {
  return ui.select.visibleImages(state)[ui.select.imageRow(state)];
}

const NO_IMAGE = 'there is no image here';

function noImage(context: ActionContext): string | null {
  return rowAtCursor(context) === undefined ? NO_IMAGE : null;
}

/** Why the image at the cursor cannot be changed; null if it can. */
function notChangeable(context: ActionContext): string | null {
  const row = rowAtCursor(context);
  if (row === undefined) return NO_IMAGE;
  const name = basename(row.image.path);
  if (row.image.format === null) return row.image.problems[0] ?? `${name} cannot be read`;
  const [first, ...more] = row.runningVms;
  if (first === undefined) return null;
  const use = more.length === 0 ? `${first} uses` : `${row.runningVms.join(', ')} use`;
  return `${use} ${name}: stop ${more.length === 0 ? 'it' : 'them'} first`;
}

/** Why the tables of the image at the cursor cannot be checked; null if they can, as while VMs only read it. */
function notCheckable(context: ActionContext): string | null {
  const image = rowAtCursor(context)?.image;
  return image?.format === 'raw'
    ? `${basename(image.path)} is a raw image, which has no tables to check`
    : noImage(context);
}

/** Why the image at the cursor cannot have snapshots, or has too few; null if it is fine. */
function noSnapshots(least: number): (context: ActionContext) => string | null {
  return context => {
    const image = rowAtCursor(context)?.image;
    if (image === undefined) return NO_IMAGE;
    if (image.format !== 'qcow2')
      return `${basename(image.path)} is not a qcow2 image: only those have snapshots`;
    if (image.snapshots.length < least) return `${basename(image.path)} has no snapshots`;
    return notChangeable(context);
  };
}

/** This process makes the changes: neither the manager nor root is needed. */
const CHANGES = { category: 'Host', screens: ['images'], changes: 'vm', withoutManager: true } as const;

export const imageActions: readonly Action[] = [
  {
    name: 'open-image',
    category: 'Move',
    label: 'open',
    phrase: 'open the image',
    description: 'Show all of the image: its chain of backing files, VMs and snapshots',
    screens: ['images'],
    bar: 10,
    unavailable: noImage,
    run: context => {
      const row = rowAtCursor(context)!;
      readFacts(context, basename(row.image.path), imageFacts(row));
    },
  },
  {
    name: 'check-image',
    category: 'Look',
    label: 'check',
    phrase: 'check the image',
    description: 'Check the tables of an image that no VM uses for errors; offers to repair them',
    screens: ['images'],
    bar: 38,
    unavailable: notCheckable,
    run: async context => {
      const { check } = await import('./image-work.ts');
      await check(context.ui, rowAtCursor(context)!.image);
    },
  },
  {
    ...CHANGES,
    name: 'new-image',
    label: 'new',
    phrase: 'create a disk image',
    description: 'Create a disk image, or a linked clone of one: an image with a backing file',
    bar: 30,
    run: ({ ui }) => openCreateForm(ui),
  },
  {
    ...CHANGES,
    name: 'resize-image',
    label: 'resize',
    phrase: 'resize the image',
    description: 'Resize an image that no VM uses',
    bar: 32,
    unavailable: notChangeable,
    run: context => openResizeForm(context.ui, rowAtCursor(context)!.image),
  },
  {
    ...CHANGES,
    name: 'convert-image',
    label: 'convert',
    phrase: 'convert the image',
    description: 'Copy an image that no VM writes to into another format',
    bar: 34,
    unavailable: noImage,
    run: context => openConvertForm(context.ui, rowAtCursor(context)!.image),
  },
  {
    ...CHANGES,
    name: 'snapshot-image',
    label: 'snapshot',
    phrase: 'take a snapshot of the image',
    description: 'Take an internal snapshot of a qcow2 image that no VM uses',
    bar: 36,
    unavailable: noSnapshots(0),
    run: context => openTakeForm(context.ui, rowAtCursor(context)!.image),
  },
  {
    ...CHANGES,
    name: 'apply-image-snapshot',
    label: 'apply snapshot',
    phrase: 'apply a snapshot of the image',
    description: 'Revert a qcow2 image that no VM uses to an internal snapshot',
    unavailable: noSnapshots(1),
    run: context => openSnapshotForm(context.ui, rowAtCursor(context)!.image, 'apply'),
  },
  {
    ...CHANGES,
    name: 'delete-image-snapshot',
    label: 'delete snapshot',
    phrase: 'delete a snapshot of the image',
    description: 'Delete an internal snapshot of a qcow2 image that no VM uses',
    unavailable: noSnapshots(1),
    run: context => openSnapshotForm(context.ui, rowAtCursor(context)!.image, 'delete'),
  },
];
