import type { HostImages } from '../host-service/images.ts';
import type { ListCursor } from './screens.ts';
import type { SliceCreator } from './slice.ts';

export type ImagesSlice = {
  /** The disk images of the host, as last read; null before the first read. */
  readonly images: HostImages | null;
  /** Why they could not be read; null if they were. */
  readonly imagesProblem: string | null;
  readonly imageCursor: ListCursor | null;

  imagesRead(images: HostImages): void;
  imagesFailed(problem: string): void;
  setImageCursor(cursor: ListCursor): void;
};

export const createImagesSlice: SliceCreator<ImagesSlice> = set => ({
  images: null,
  imagesProblem: null,
  imageCursor: null,

  imagesRead: images => set({ images, imagesProblem: null }),
  imagesFailed: imagesProblem => set({ imagesProblem }),
  setImageCursor: imageCursor => set({ imageCursor }),
});
