import { shellText } from '../../../text/shell.ts';
import { findProgram } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { keyValues } from '../../text.ts';
import { kernelWords, type ParameterRequest, saysAlready } from '../kernel-words.ts';
import { ManualStepError, requestText } from '../line-edit.ts';
import { bootEntries } from './entries.ts';
import { type BootEvidence, runningSays } from './evidence.ts';
import { readable } from './grub-config.ts';
import { type CmdlineReader, editKernelCmdline, kernelCmdline } from './kernel-cmdline-file.ts';
import type { Argv, ParameterEdits } from './loader.ts';
import { readUkiCommandLine, type UkiCommandLine } from './uki-image.ts';

const directories = ['/efi/EFI/Linux', '/boot/EFI/Linux', '/boot/efi/EFI/Linux'];

/** Unified kernel images: the command line is part of the image, which must be rebuilt. */
export function uki(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  const images = ukiImages(root);
  if (!evidence.unified) {
    if (evidence.booted === 'grub' || images.length === 0) return null;
    // There are entries of both kinds, and nothing shows which one was selected.
    if (evidence.entry !== null || bootEntries(root).length > 0) return null;
  }
  const builder = findBuilder(root);
  if (builder === null) {
    const image = images[0] ?? 'the unified kernel image';
    throw new ManualStepError(
      `${image} contains the kernel command line, and nothing on this host is set up to rebuild it`,
      `rebuild it with ${requestText(request)}, or add them in a signed addon (${addonCommand(image)})`,
    );
  }
  const { argv, reader, override } = builder;
  if (override !== null) {
    const step = `add ${requestText(request)} there, then run ${shellText(argv)}`;
    throw new ManualStepError(`${override} sets the kernel command line`, step);
  }
  const { path, edit } = editKernelCmdline(root, reader, request);
  if (path === null) {
    const step = `write the kernel parameters, including ${requestText(request)}, to ${kernelCmdline}, then run ${shellText(argv)}`;
    throw new ManualStepError(`${kernelCmdline} does not exist`, step);
  }
  return rebuild(root, { images, argv, path, edit }, request);
}

function addonCommand(image: string): string {
  return shellText(['ukify', 'build', '--cmdline=...', '--output', `${image}.extra.d/iommu.addon.efi`]);
}

function rebuild(
  root: HostRoot,
  how: { images: readonly string[]; argv: Argv; path: string; edit: ParameterEdits['files'][number] | null },
  request: ParameterRequest,
): ParameterEdits {
  const { images, argv, path, edit } = how;
  const lines = images.map(image => [image, readable(() => readUkiCommandLine(root, image))] as const);
  const known = lines.filter((each): each is [string, UkiCommandLine] => each[1] !== null);
  const says = ({ text }: UkiCommandLine): boolean =>
    saysAlready(
      kernelWords(text).map(word => word.text),
      request,
    );
  const built = known.length > 0 ? known.every(([, line]) => says(line)) : runningSays(root, request);
  const result: ParameterEdits = {
    loader: 'the unified kernel image',
    request,
    files: [],
    commands: [],
    notes: [],
  };
  if (edit === null && built) return result;
  // Only the beginning of an image is read back.
  const early = known.find(([, line]) => line.end < 16 << 20);
  return {
    ...result,
    files: edit === null ? [] : [edit],
    commands: [
      {
        argv,
        undo: null,
        result: early === undefined ? null : { kind: 'file', path: early[0], has: request.add },
        reason:
          edit === null
            ? `${path} already has the parameters, but the image does not`
            : 'the command line is part of the image',
      },
    ],
  };
}

function ukiImages(root: HostRoot): string[] {
  for (const directory of directories) {
    const names = readable(() => root.list(directory)) ?? [];
    const images = names.filter(
      name => name.toLowerCase().endsWith('.efi') && !/rescue|fallback/i.test(name),
    );
    if (images.length > 0) return images.map(name => `${directory}/${name}`);
  }
  return [];
}

type Builder = {
  readonly argv: Argv;
  readonly reader: CmdlineReader;
  /** A file that overrides the command line. */
  readonly override: string | null;
};

function findBuilder(root: HostRoot): Builder | null {
  const kernelInstall = findProgram(root, 'kernel-install');
  if (kernelInstall && installLayout(root) === 'uki') {
    const settings = ['/etc/kernel/uki.conf', '/run/kernel/uki.conf', '/usr/lib/kernel/uki.conf'];
    const override =
      settings.find(path => /^\s*Cmdline\s*=/m.test(root.text(path) ?? '')) ?? dracutCmdline(root);
    return { argv: [kernelInstall, 'add-all'], reader: 'kernel-install', override };
  }
  const mkinitcpio = findProgram(root, 'mkinitcpio');
  if (mkinitcpio) return { argv: [mkinitcpio, '-P'], reader: 'mkinitcpio', override: presetCmdline(root) };
  const dracut = findProgram(root, 'dracut');
  if (dracut && dracutFiles(root).some(path => /^\s*uefi=["']?yes/m.test(root.text(path) ?? ''))) {
    const argv: Argv = [dracut, '--regenerate-all', '--force'];
    return { argv, reader: 'kernel-install', override: dracutCmdline(root) };
  }
  return null;
}

/** kernel-install(8): `layout=uki` in the first install.conf. */
export function installLayout(root: HostRoot): string | undefined {
  const paths = ['/etc/kernel/install.conf', '/run/kernel/install.conf', '/usr/lib/kernel/install.conf'];
  const text = paths.map(path => root.text(path)).find(found => found !== null);
  return keyValues(text ?? '').get('layout');
}

function dracutFiles(root: HostRoot): string[] {
  const directory = '/etc/dracut.conf.d';
  const names = (root.list(directory) ?? []).filter(name => name.endsWith('.conf'));
  return ['/etc/dracut.conf', ...names.map(name => `${directory}/${name}`)];
}

function dracutCmdline(root: HostRoot): string | null {
  return dracutFiles(root).find(path => /^\s*kernel_cmdline\+?=/m.test(root.text(path) ?? '')) ?? null;
}

/** A preset whose mkinitcpio(8) options name another file, or none. */
function presetCmdline(root: HostRoot): string | null {
  const directory = '/etc/mkinitcpio.d';
  const names = (root.list(directory) ?? []).filter(name => name.endsWith('.preset'));
  const found = names.find(name => /^[^#]*--(no-)?cmdline/m.test(root.text(`${directory}/${name}`) ?? ''));
  return found === undefined ? null : `${directory}/${found}`;
}
