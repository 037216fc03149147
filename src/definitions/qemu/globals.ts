import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { MACHINE_CHIPS } from './left-out.ts';

/** -global. @throws OptionError */
export function readGlobal(draft: Draft, value: string, place: Place): void {
  if (readSleepState(draft, value) || readDebugPort(draft, value)) return;
  const match = /^(?:driver=([^,]+),property=.*|([^.=]+(?:\.pflash01)?)\..*)$/.exec(value);
  const driver = match?.[1] ?? match?.[2];
  if (driver === undefined) throw new OptionError('expected DRIVER.PROPERTY=VALUE');
  if (!MACHINE_CHIPS.test(driver))
    throw new OptionError(`set it in each -device instead: -device ${driver},PROPERTY=VALUE`);
  draft.leaveOut(place, 'the chip has no such setting in vring');
}

/**
 * The chip with the ACPI registers, on both of QEMU's PCs, has properties for the sleep states.
 * @returns whether this is one of them
 */
function readSleepState(draft: Draft, value: string): boolean {
  const match =
    /^(?:driver=)?(?:ICH9-LPC|PIIX4_PM)(?:\.|,property=)disable_s([34])(?:=|,value=)(0x)?([01])$/i.exec(
      value,
    );
  if (match === null) return false;
  const key = match[1] === '3' ? 'suspend' : 'hibernate';
  draft.fields.machine = { ...draft.fields.machine, [key]: match[3] === '0' };
  return true;
}

/** @returns whether this is the port of the debug console */
function readDebugPort(draft: Draft, value: string): boolean {
  const match =
    /^(?:driver=)?isa-debugcon(?:\.|,property=)iobase(?:=|,value=)(0x[0-9a-f]{1,4}|\d{1,5})$/i.exec(value);
  if (match === null) return false;
  draft.debugPort = Number(match[1]);
  return true;
}
