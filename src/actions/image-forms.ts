import { existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import {
  formatOfName,
  IMAGE_FORMATS,
  type ImageFormat,
  PREALLOCATIONS,
  type Preallocation,
} from '../engine/images/formats.ts';
import type { HostImage } from '../host-service/images.ts';
import type { FormValues } from '../store/layers.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { filePath } from './complete-path.ts';
import type { Ui } from './ui.ts';
import { openWorkingForm } from './working-form.ts';

const EXTENSIONS: Readonly<Record<ImageFormat, string>> = {
  ...{ raw: '.img', qcow2: '.qcow2', vmdk: '.vmdk', vdi: '.vdi', vhd: '.vhd', vhdx: '.vhdx' },
};

/** The chosen format, else the one that the typed name's extension implies. */
function formatOf({ format, path }: FormValues): ImageFormat {
  return (format as ImageFormat | undefined) ?? formatOfName(path ?? '');
}

/** Loaded on demand, so that the UI starts faster. */
const work = () => import('./image-work.ts');

function newFileProblem(text: string): string | null {
  if (text === '' || text.endsWith('/')) return 'expected the path of the new file';
  const path = filePath(text);
  if (existsSync(path)) return `${path} is there already`;
  return null;
}

function sizeProblem(text: string): string | null {
  return bytesOf(text) === null ? 'expected a size such as 20G' : null;
}

export function openCreateForm(ui: Ui): void {
  const { images } = ui.store.getState();
  const folder = images?.folder ?? '/';
  openWorkingForm(ui, {
    title: 'New disk image',
    button: 'Create',
    done: 'create',
    fields: [
      { key: 'path', label: 'File', hint: 'the new file; Tab completes the path', path: true },
      { key: 'format', label: 'Format', hint: 'of the new file', choices: ['qcow2', ...others('qcow2')] },
      {
        key: 'backing',
        label: 'Backing',
        hint: 'the backing file (qcow2), which must no longer be written; empty: none',
        path: true,
        mayBeEmpty: true,
      },
      {
        key: 'size',
        label: 'Size',
        hint: 'such as 20G; empty: the size of the backing file',
        mayBeEmpty: true,
      },
      {
        key: 'preallocation',
        label: 'Space',
        hint: 'allocated in advance: none, for tables, or all, without or with writing it',
        choices: PREALLOCATIONS,
      },
    ],
    defaults: values => ({
      path: join(folder, `disk${EXTENSIONS[formatOf(values)]}`),
      ...{ format: formatOf(values), backing: '', preallocation: 'off' },
      size: (values.backing ?? '') === '' ? '20G' : '',
    }),
    main: 'path',
    problem: (value, key) => {
      const backing = value('backing');
      if (key === 'path') return newFileProblem(value('path'));
      if (key === 'backing' && backing !== '') {
        if (value('format') !== 'qcow2') return 'only a qcow2 image has a backing file';
        return existsSync(filePath(backing)) ? null : `${filePath(backing)} does not exist`;
      }
      if (key === 'size' && (value('size') !== '' || backing === '')) return sizeProblem(value('size'));
      return null;
    },
    run: async value => {
      const { create } = await work();
      const [size, backing] = [value('size'), value('backing')];
      const image = {
        path: filePath(value('path')),
        format: value('format') as ImageFormat,
        preallocation: value('preallocation') as Preallocation,
        size: size === '' ? undefined : bytesOf(size)!,
      };
      return await create(ui, image, backing === '' ? null : filePath(backing));
    },
  });
}

export function openConvertForm(ui: Ui, image: HostImage): void {
  const { path, definedFormat } = image;
  const stem = join(dirname(path), path.slice(dirname(path).length, path.length - extname(path).length));
  const target = (format: ImageFormat) => {
    const same = `${stem}${EXTENSIONS[format]}`;
    return same === path ? `${stem}-copy${EXTENSIONS[format]}` : same;
  };
  openWorkingForm(ui, {
    title: `Convert ${path}`,
    button: 'Convert',
    done: 'convert',
    fields: [
      { key: 'path', label: 'New file', hint: 'Tab completes the path', path: true },
      { key: 'format', label: 'Format', hint: 'of the new file', choices: ['qcow2', ...others('qcow2')] },
      {
        key: 'from',
        label: 'From',
        hint: 'the format of the image; detect: probed, unless it has a backing file',
        choices: ['detect', ...IMAGE_FORMATS],
      },
      {
        key: 'compress',
        label: 'Compress',
        hint: 'Space turns it on and off: the clusters of a qcow2 or vmdk image',
        checkbox: true,
      },
    ],
    defaults: values => ({
      path: target(formatOf(values)),
      ...{ format: formatOf(values), from: definedFormat ?? 'detect', compress: 'no' },
    }),
    main: 'path',
    problem: (value, key) => (key === 'path' ? newFileProblem(value('path')) : null),
    run: async value => {
      const { convert } = await work();
      const from = value('from');
      return await convert(ui, {
        from: path,
        fromFormat: from === 'detect' ? undefined : from,
        to: filePath(value('path')),
        format: value('format') as ImageFormat,
        compress: value('compress') === 'yes',
        force: false,
      });
    },
  });
}

export function openResizeForm(ui: Ui, image: HostImage): void {
  const { path, size } = image;
  const isSmaller = (text: string) => size !== null && bytesOf(text)! < size;
  openWorkingForm(ui, {
    title: `Resize ${path}`,
    button: 'Resize',
    done: 'resize',
    fields: [{ key: 'size', label: 'Size', hint: 'such as 40G' }],
    defaults: () => ({ size: size === null ? '' : sizeText(size) }),
    main: 'size',
    problem: value => sizeProblem(value('size')),
    question: value =>
      isSmaller(value('size'))
        ? {
            title: `Shrink ${path} to ${value('size')}?`,
            body: `It has ${sizeText(size!)}: data beyond ${value('size')} is lost. Shrink its file systems first.`,
            verb: 'Shrink',
          }
        : null,
    run: async value => {
      const { resize } = await work();
      return await resize(ui, image, bytesOf(value('size'))!, isSmaller(value('size')));
    },
  });
}

export function openTakeForm(ui: Ui, { path, snapshots }: HostImage): void {
  openWorkingForm(ui, {
    title: `Snapshot of ${path}`,
    button: 'Take',
    done: 'take',
    fields: [{ key: 'name', label: 'Name', hint: 'of the snapshot, which is kept inside the image' }],
    defaults: () => ({ name: `snapshot-${snapshots.length + 1}` }),
    main: 'name',
    problem: value => {
      if (value('name') === '') return 'expected a name';
      const isTaken = snapshots.some(({ name }) => name === value('name'));
      return isTaken ? `there is already a snapshot named ${value('name')}` : null;
    },
    run: async value => await (await work()).changeSnapshots(ui, path, 'create', value('name')),
  });
}

const VERBS = {
  apply: { verb: 'Apply', lost: 'The present contents of the disk are lost: it gets those of the snapshot.' },
  delete: { verb: 'Delete', lost: 'It cannot be brought back.' },
} as const;

export function openSnapshotForm(ui: Ui, { path, snapshots }: HostImage, action: keyof typeof VERBS): void {
  const { verb, lost } = VERBS[action];
  openWorkingForm(ui, {
    title: `${verb} a snapshot of ${path}`,
    button: verb,
    done: action,
    fields: [
      {
        key: 'name',
        label: 'Snapshot',
        hint: 'one of those inside the image',
        choices: snapshots.map(({ name }) => name),
      },
    ],
    defaults: () => ({ name: snapshots.at(-1)!.name }),
    main: 'name',
    problem: () => null,
    question: value => ({
      title: `${verb} the snapshot ${value('name')} of ${path}?`,
      body: lost,
      verb,
    }),
    run: async value => await (await work()).changeSnapshots(ui, path, action, value('name')),
  });
}

function others(format: ImageFormat): ImageFormat[] {
  return IMAGE_FORMATS.filter(each => each !== format);
}
