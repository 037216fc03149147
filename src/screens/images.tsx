import { basename } from 'node:path';
import { useAppState, useUi } from '../components/contexts.ts';
import type { Size } from '../store/ui-slice.ts';
import { fact } from '../view/facts.ts';
import { IMAGE_COLUMNS, imageFacts, noImagesText } from '../view/image-rows.ts';
import { ListWithDetails } from './list-with-details.tsx';

const NO_PROBLEMS: readonly string[] = [];

/** Disk images: those of VMs, and others in the same folders. */
export function ImagesScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const rows = useAppState(select.visibleImages);
  const cursor = useAppState(select.imageRow);
  const empty = useAppState(({ images, imagesProblem }) => {
    if (imagesProblem !== null) return imagesProblem;
    if (images === null) return 'Reading the host';
    return noImagesText(images);
  });
  const problems = useAppState(state => state.images?.problems ?? NO_PROBLEMS);
  return (
    <ListWithDetails
      size={size}
      list="images"
      columns={IMAGE_COLUMNS}
      rows={rows}
      cursor={cursor}
      empty={empty}
      subject="No image"
      title={({ image }) => basename(image.path)}
      facts={row => [...imageFacts(row), ...problems.map(problem => fact('Note', problem))]}
    />
  );
}
