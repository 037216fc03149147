import path from 'node:path';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

const OWN_FIRMWARE = 'vring uses its own firmware';
const OWN_VARIABLES = 'vring keeps the variables of its own firmware';

/** The kind of a firmware file, by the names that distributions use; null if unknown. */
function kindOf(file: string): 'bios' | 'uefi' | null {
  const name = path.basename(file).toLowerCase();
  if (/ovmf|edk2|uefi|\.fd$/.test(name)) return 'uefi';
  if (/^(bios(-256k|-microvm)?|seabios|qboot|vgabios)\.(bin|rom)$/.test(name)) return 'bios';
  return null;
}

/** -bios, read once it is known whether there is a kernel: the name of a file that QEMU brings along, or the path of one. @throws OptionError */
export function readBios(draft: Draft, file: string, place: Place): void {
  if (draft.fields.machine?.kernel !== undefined) {
    draft.leaveOut(place, 'a kernel is booted directly, without firmware');
    return;
  }
  const kind = kindOf(file);
  const isPath = file.includes('/');
  if (kind === null && !isPath)
    throw new OptionError(`vring does not know the firmware ${shown(file)}: give the path of its file`);
  if (kind !== 'uefi' && isPath) {
    const firmwareFile = path.resolve(draft.host.cwd, file);
    draft.fields.machine = { ...draft.fields.machine, firmware: 'bios', 'firmware-file': firmwareFile };
    return;
  }
  setFirmware(draft, kind ?? 'bios');
  draft.leaveOut(place, `${OWN_FIRMWARE}: it becomes machine.firmware: ${kind}`);
}

/** -pflash, and -drive with if=pflash: the first holds the code, the second the variables. @throws OptionError */
export function readFlashDrive(draft: Draft, settings: Settings, place: Place): void {
  const file = settings.take('file') ?? settings.take('file.filename');
  const unit = settings.take('unit') ?? settings.take('index');
  settings.rest();
  flash(draft, file, unit, place);
}

export function readPflash(draft: Draft, file: string, place: Place): void {
  flash(draft, file, undefined, place);
}

function flash(draft: Draft, file: string | undefined, unit: string | undefined, place: Place): void {
  if (!file) throw new OptionError('file is missing');
  const isVariables = unit === '1' || /vars/i.test(path.basename(file));
  if (!isVariables) setFirmware(draft, 'uefi');
  draft.leaveOut(place, isVariables ? OWN_VARIABLES : `${OWN_FIRMWARE}: it becomes machine.firmware: uefi`);
}

/** -machine pflash0= and pflash1=, which name -blockdev nodes. @throws OptionError */
export function placeFlash(draft: Draft): void {
  for (const { drive, ...place } of draft.flashDrives) {
    draft.claimDrive(drive, 'pflash');
    setFirmware(draft, 'uefi');
    draft.leaveOut(place, OWN_FIRMWARE, `the firmware ${drive}`);
  }
}

export function setFirmware(draft: Draft, firmware: 'bios' | 'uefi'): void {
  draft.fields.machine = { ...draft.fields.machine, firmware };
}

/** A kernel is booted directly: firmware given with it is not used. */
export function dropFirmware(draft: Draft, place: Place | undefined): void {
  const { machine } = draft.fields;
  if (machine?.kernel === undefined || machine.firmware === undefined) return;
  const { firmware, 'firmware-file': _, ...others } = machine;
  draft.fields.machine = others;
  draft.leaveOut(
    place ?? { at: Number.POSITIVE_INFINITY, option: '-kernel' },
    'a kernel is booted directly, without firmware',
    `machine.firmware: ${firmware}`,
  );
}
