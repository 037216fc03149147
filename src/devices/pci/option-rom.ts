import type { MachineServices } from '../machine-services.ts';
import type { Zod } from '../zod.ts';
import { checkRom, MAX_ROM, romBarSize, withIds } from './expansion-rom.ts';
import type { PciFunction } from './pci-function.ts';
import { REG } from './registers.ts';

/**
 * Where distributions install a ROM for booting from the network, by the firmware that runs it; images for UEFI run on
 * a BIOS as well, but are larger.
 */
export type NetworkRom = Readonly<Record<'bios' | 'uefi', readonly string[]>>;

/** QEMU's file name for iPXE's ROM of a card, in the folders of Debian and Ubuntu, of Fedora, and of Arch Linux. */
export function ipxeRom(card: string): NetworkRom {
  const folders = ['/usr/lib/ipxe/qemu', '/usr/share/ipxe/qemu', '/usr/share/qemu'];
  const named = (kind: string) => folders.map(folder => `${folder}/${kind}-${card}.rom`);
  return { bios: [...named('pxe'), ...named('efi')], uefi: named('efi') };
}

/** The options of a network card that firmware can boot from. */
export function romFields(z: Zod) {
  return {
    romfile: z
      .string()
      .optional()
      .describe(
        "a file with its expansion ROM, empty for none; if absent, iPXE's when firmware is to boot from the network",
      ),
    rombar: z.boolean().default(true).describe('whether the guest sees an expansion ROM'),
  };
}

type RomOptions = {
  readonly romfile?: string | undefined;
  readonly rombar: boolean;
  readonly bootindex?: number | undefined;
};

/**
 * Adds the expansion ROM that a network card's options select. By default, it gets a ROM only if firmware is to boot
 * from it: running one takes firmware seconds. @throws an error for the user
 */
export function addNetworkRom(
  fn: PciFunction,
  services: Pick<MachineServices, 'readFile' | 'allocateMemory' | 'warn' | 'firmware'>,
  { romfile, rombar, bootindex }: RomOptions,
  standard: NetworkRom,
): void {
  if (!rombar || romfile === '') return;
  const ids = { vendor: fn.config.u16(REG.vendor), device: fn.config.u16(REG.device) };
  if (romfile !== undefined) {
    const { bytes, warnings } = checkRom(romfile, services.readFile(romfile, MAX_ROM), ids);
    for (const warning of warnings) services.warn(`${fn.name}: ${warning}`);
    showRom(fn, services, bytes);
    return;
  }
  const { firmware } = services;
  if (firmware === null || (bootindex === undefined && !firmware.bootsFrom.includes('network'))) return;
  const rom = standardRom(services, standard[firmware.kind]);
  if (rom === null) {
    services.warn(
      `${fn.name}: it cannot boot from the network: install the package ipxe-qemu, or give romfile`,
    );
    return;
  }
  // It may have the IDs of another card of the family, and Debian's for ne2k_pci has none.
  showRom(fn, services, withIds(rom, ids));
}

function standardRom(
  { readFile }: Pick<MachineServices, 'readFile'>,
  files: readonly string[],
): Uint8Array | null {
  for (const file of files) {
    try {
      return readFile(file, MAX_ROM);
    } catch {
      // From another distribution.
    }
  }
  return null;
}

function showRom(
  fn: PciFunction,
  services: Pick<MachineServices, 'allocateMemory'>,
  bytes: Uint8Array,
): void {
  const memory = services.allocateMemory(`${fn.name} ROM`, romBarSize(bytes.length), 'rom');
  memory.writable(0, bytes.length).set(bytes);
  fn.addRom(memory);
}
