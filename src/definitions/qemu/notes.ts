import { printable } from '../../text/printable.ts';

/** The place of an option on the command line. */
export type Place = { readonly at: number; readonly option: string };

/** A QEMU option, or a setting of one, that was left out of the definition because the guest does not need it. */
export type LeftOutNote = {
  /** The option as it was written: `-qmp unix:/run/qmp`. */
  readonly option: string;
  /** Its settings that were left out: `bus=pci.0, addr=0x3`; null for the whole option. */
  readonly settings: string | null;
  readonly reason: string;
};

/** `-qmp unix:/run/qmp: VMs are controlled with ...`, safe for the terminal. */
export function noteText({ option, settings, reason }: LeftOutNote): string {
  return printable(
    settings === null ? `${option}: ${reason}` : `${settings} of ${shortened(option)}: ${reason}`,
  );
}

/** The option with its first setting, which identifies it. */
function shortened(option: string): string {
  const driver = /"(?:driver|qom-type)":\s*"([^"]*)"/.exec(option)?.[1];
  return driver === undefined ? option.split(',', 1)[0]! : `${option.split(' ', 1)[0]} ${driver}`;
}
