import { printable } from '../../text/printable.ts';

/** An option of QEMU's, or a setting of one, that did not become a part of the definition, as the guest does not miss it. */
export type LeftOutNote = {
  /** The option as it was written: `-qmp unix:/run/qmp`. */
  readonly option: string;
  /** The settings of it that were left out: `bus=pci.0, addr=0x3`; null when it is the whole option. */
  readonly settings: string | null;
  readonly reason: string;
};

/** `-qmp unix:/run/qmp: VMs are controlled with ...`, safe for the terminal. */
export function noteText({ option, settings, reason }: LeftOutNote): string {
  return printable(
    settings === null ? `${option}: ${reason}` : `${settings} of ${shortened(option)}: ${reason}`,
  );
}

/** The option with the first of its settings, which says what it is about. */
function shortened(option: string): string {
  const driver = /"(?:driver|qom-type)":\s*"([^"]*)"/.exec(option)?.[1];
  return driver === undefined ? option.split(',', 1)[0]! : `${option.split(' ', 1)[0]} ${driver}`;
}
