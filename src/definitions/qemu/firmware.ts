import path from 'node:path';
import { FW_CFG_NAME } from '../../devices/firmware/fw-cfg-items.ts';
import { firmwareKind, needsSmm } from '../../vmm/boot/firmware-files.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { hostFile } from './host-file.ts';
import type { Settings } from './settings.ts';

const OWN_FIRMWARE = 'vring finds its firmware itself';
export const NO_SMM = 'it needs SMM, which VMs do not have: vring takes firmware that does without';
const DIRECT = 'the kernel is booted directly, which is what this firmware is for';

/** Firmware that does nothing but start a kernel. */
const ONLY_KERNELS = /^(qboot\.(rom|bin)|bios-microvm\.bin)$/;

/**
 * -bios, read once it is known whether there is a kernel: the name of a file that QEMU brings along, or the path of
 * one. @throws OptionError
 */
export function readBios(draft: Draft, file: string, place: Place): void {
  const kind = firmwareKind(file);
  // As in QEMU, a file in this folder comes before those that it brings along.
  const isPath = file.includes('/') || draft.host.exists?.(path.resolve(draft.host.cwd, file)) === true;
  if (draft.fields.machine?.kernel !== undefined && ONLY_KERNELS.test(path.basename(file))) {
    draft.leaveOut(place, DIRECT);
    return;
  }
  if (kind === null && !isPath)
    throw new OptionError(`vring does not know the firmware ${shown(file)}: give the path of its file`);
  if (isPath) {
    setFile(draft, kind ?? 'bios', file, place);
    return;
  }
  setMachine(draft, { firmware: kind ?? 'bios' });
}

/** -pflash, and -drive with if=pflash: the first holds the code, the second the variables. @throws OptionError */
export function readFlashDrive(draft: Draft, settings: Settings, place: Place): void {
  const file = settings.take('file') ?? settings.take('file.filename');
  const unit = settings.take('unit') ?? settings.take('index');
  const format = settings.take('format') ?? settings.take('driver');
  settings.rest();
  flash(draft, file, { unit, format }, place);
}

export function readPflash(draft: Draft, file: string, place: Place): void {
  flash(draft, file, {}, place);
}

type FlashSettings = { readonly unit?: string | undefined; readonly format?: string | undefined };

function flash(draft: Draft, file: string | undefined, { unit, format }: FlashSettings, place: Place): void {
  if (!file) throw new OptionError('file is missing');
  if (format !== undefined && format !== 'raw')
    throw new OptionError(`format=${format}: flash memory is raw: convert it with qemu-img convert -O raw`);
  const hasCode = draft.fields.machine?.firmware === 'uefi';
  const isVariables = unit === '1' || (unit === undefined && (hasCode || /vars/i.test(path.basename(file))));
  if (isVariables) setMachine(draft, { firmware: 'uefi', 'firmware-variables': hostFile(file, draft.host) });
  else setFile(draft, 'uefi', file, place);
}

/** -machine pflash0= and pflash1=, which name -blockdev nodes. @throws OptionError */
export function placeFlash(draft: Draft): void {
  for (const { drive, unit, ...place } of draft.flashDrives) {
    const { disk } = draft.claimDrive(drive, 'pflash');
    flash(draft, disk?.file, { unit, format: disk?.format }, place);
  }
}

/** If the file is another distribution's, or would not start, the guest gets this host's firmware. */
function setFile(draft: Draft, firmware: 'bios' | 'uefi', given: string, place: Place): void {
  const file = hostFile(given, draft.host);
  const isForeign = file.startsWith('/usr/') && draft.host.exists?.(file) === false;
  const isOwn = isForeign || (firmware === 'uefi' && needsSmm(file));
  if (isOwn)
    draft.leaveOut(place, isForeign ? `${OWN_FIRMWARE}, and this host does not have that file` : NO_SMM);
  setMachine(draft, { firmware, ...(!isOwn && { 'firmware-file': file }) });
}

/** -fw_cfg. @throws OptionError */
export function readFwCfg(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'name');
  const name = settings.require('name');
  const file = settings.take('file');
  const content = settings.take('string');
  if (settings.take('gen_id') !== undefined)
    throw new OptionError('gen_id is not supported: give the data by file= or string=');
  settings.end();
  if ((file === undefined) === (content === undefined))
    throw new OptionError('expected file= or string=, one of them');
  if (!FW_CFG_NAME.pattern.test(name))
    throw new OptionError(`name=${shown(name)}: expected ${FW_CFG_NAME.rule}`);
  const entry = file !== undefined ? { name, file: hostFile(file, draft.host) } : { name, text: content! };
  setMachine(draft, { 'fw-cfg': [...(draft.fields.machine?.['fw-cfg'] ?? []), entry] });
}

/** -option-rom: one that no device has (QEMU, hw/core/loader.c; SeaBIOS, src/optionroms.c). @throws OptionError */
export function readOptionRom(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'romfile');
  const file = hostFile(settings.require('romfile'), draft.host);
  settings.leaveOut({ bootindex: 'SeaBIOS starts them in their order, before it boots' });
  settings.end();
  const name = `genroms/${path.basename(file)}`;
  if (!FW_CFG_NAME.pattern.test(name)) throw new OptionError(`${shown(name)}: expected ${FW_CFG_NAME.rule}`);
  setMachine(draft, { 'fw-cfg': [...(draft.fields.machine?.['fw-cfg'] ?? []), { name, file }] });
}

function setMachine(draft: Draft, keys: NonNullable<DefinitionInput['machine']>): void {
  draft.fields.machine = { ...draft.fields.machine, ...keys };
}

/** A kernel that only starts in real mode, or that uses fw_cfg, gets the firmware that QEMU always has. */
export function addFirmware(draft: Draft): void {
  const { kernel, firmware, 'fw-cfg': settings } = draft.fields.machine ?? {};
  if (kernel === undefined || firmware !== undefined) return;
  if (settings === undefined && !draft.host.needsBios?.(kernel)) return;
  setMachine(draft, { firmware: 'bios' });
}
