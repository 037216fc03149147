import { type HostImages, ImageReader } from '../../host-service/images.ts';
import { managerPaths } from '../../manager/paths.ts';
import {
  IMAGE_COLUMNS,
  type ImageRow,
  imageFilesOf,
  imageRows,
  noImagesText,
} from '../../view/image-rows.ts';
import { cellText } from '../../view/list-columns.ts';
import { outputWidth, print } from '../host/host-options.ts';
import { type Column, tableLines } from '../host/table.ts';
import type { VmList } from '../vm/vm-list.ts';

/** Lists the disk images of VMs, and others in the same folders. */
export async function listImages(
  vmList: Pick<VmList, 'vms'>,
  options: { readonly json?: boolean },
): Promise<void> {
  const vms = vmList.vms();
  const found = await new ImageReader(managerPaths().state).read(imageFilesOf(vms));
  const rows = imageRows(found, vms);
  const { folder, problems } = found;
  const images = rows.map(({ image, vms, backs }) => ({ ...image, vms, backs }));
  print(options, { images, folder, problems }, () => imageTable(rows, found, outputWidth()));
}

/** The columns of the UI's screen. */
const COLUMNS: readonly Column<ImageRow>[] = IMAGE_COLUMNS.map(column => ({
  title: column.title,
  text: row => (column.cell === undefined ? '' : cellText(column.cell(row))),
  ...(column.align !== undefined && { align: column.align }),
  rank: column.priority ?? 0,
  ...(column.cut !== undefined && { least: column.min }),
}));

export function imageTable(rows: readonly ImageRow[], found: HostImages, cells: number): string[] {
  if (rows.length === 0) return [noImagesText(found)];
  return [...tableLines(rows, COLUMNS, cells), ...found.problems];
}
