import { basename } from 'node:path';
import { type ImageRow, imageFacts } from '../view/image-rows.ts';
import type { Action, ActionContext } from './action.ts';
import { readFacts } from './read-facts.ts';

function rowAtCursor({ ui, state }: ActionContext): ImageRow | undefined {
  return ui.select.visibleImages(state)[ui.select.imageRow(state)];
}

function noImage(context: ActionContext): string | null {
  return rowAtCursor(context) === undefined ? 'there is no image here' : null;
}

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
];
