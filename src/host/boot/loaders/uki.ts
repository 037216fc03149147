import { shellText } from '../../../text/shell.ts';
import { findProgram } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { keyValues } from '../../text.ts';
import { configFiles } from '../config-files.ts';
import { dracutDirectories } from '../early-modules.ts';
import { kernelWords, meetsRequest, type ParameterRequest } from '../kernel-words.ts';
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
  const builder = findBuilder(root, request);
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
    meetsRequest(
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

function findBuilder(root: HostRoot, request: ParameterRequest): Builder | null {
  const kernelInstall = findProgram(root, 'kernel-install');
  if (kernelInstall && installLayout(root) === 'uki') {
    const override = ukifyCmdline(root) ?? dracutCmdline(root);
    return { argv: [kernelInstall, 'add-all'], reader: 'kernel-install', override };
  }
  const mkinitcpio = findProgram(root, 'mkinitcpio');
  const presets = mkinitcpioPresets(root);
  // Without any preset, mkinitcpio -P fails: nothing is changed then.
  if (mkinitcpio && (presets.length === 0 || presets.some(({ text }) => BUILDS_UKI.test(text)))) {
    const override = presets.find(({ text }) => OTHER_CMDLINE.test(text))?.path ?? null;
    return { argv: [mkinitcpio, '-P'], reader: 'mkinitcpio', override };
  }
  const dracut = findProgram(root, 'dracut');
  if (dracut && dracutFiles(root).some(path => /^[ \t]*uefi=["']?yes/m.test(root.text(path) ?? ''))) {
    const argv: Argv = [dracut, '--regenerate-all', '--force'];
    const override = dracutCmdline(root);
    if (override !== null) return { argv, reader: 'kernel-install', override };
    throw new ManualStepError(
      'dracut takes the kernel command line of its images from the running kernel or the devices of this host, as kernel_cmdline is not set',
      `set kernel_cmdline in /etc/dracut.conf.d to all parameters: those in /proc/cmdline, and ${requestText(request)}; then run ${shellText(argv)}`,
    );
  }
  return null;
}

/** kernel-install(8): `layout=uki` in the first install.conf, or in a drop-in for it. */
export function installLayout(root: HostRoot): string | undefined {
  return kernelInstallFiles(root, 'install.conf')
    .map(path => keyValues(root.text(path) ?? '').get('layout'))
    .findLast(layout => layout !== undefined);
}

/** The first file of this name in the directories of kernel-install, and its drop-ins: the last one takes effect. */
function kernelInstallFiles(root: HostRoot, name: string): string[] {
  const directories = ['/etc/kernel', '/run/kernel', '/usr/local/lib/kernel', '/usr/lib/kernel'];
  const main = directories.map(directory => `${directory}/${name}`).find(path => root.exists(path));
  const dropIns = configFiles(
    root,
    directories.map(directory => `${directory}/${name}.d`),
    '.conf',
  );
  return [...(main === undefined ? [] : [main]), ...dropIns];
}

/** A file that gives ukify(1) another command line than that of kernel-install. */
function ukifyCmdline(root: HostRoot): string | null {
  const own = /^[ \t]*Cmdline[ \t]*=(?![ \t]*@\/etc\/kernel\/cmdline[ \t]*$)/m;
  return kernelInstallFiles(root, 'uki.conf').find(path => own.test(root.text(path) ?? '')) ?? null;
}

function dracutFiles(root: HostRoot): string[] {
  return ['/etc/dracut.conf', ...configFiles(root, dracutDirectories, '.conf')];
}

function dracutCmdline(root: HostRoot): string | null {
  return dracutFiles(root).find(path => /^[ \t]*kernel_cmdline\+?=/m.test(root.text(path) ?? '')) ?? null;
}

/** mkinitcpio(8): a preset builds a unified image only if it has one of these. */
const BUILDS_UKI = /^[^#\n]*?(\w_uki=|\w_efi_image=|--uki\b|-U\b)/m;
/** Options that name another file for the command line, or none. */
const OTHER_CMDLINE = /^[^#\n]*?--(no-)?cmdline/m;

function mkinitcpioPresets(root: HostRoot): { readonly path: string; readonly text: string }[] {
  return configFiles(root, ['/etc/mkinitcpio.d'], '.preset').map(path => ({
    path,
    text: root.text(path) ?? '',
  }));
}
