import type { MachineServices } from '../../machine-services.ts';
import { checkRom, MAX_ROM, romBarSize } from '../../pci/expansion-rom.ts';
import type { PciFunction } from '../../pci/pci-function.ts';
import { REG } from '../../pci/registers.ts';

/** Where distributions install SeaBIOS's VGA BIOS: Debian and Ubuntu, Fedora, and Arch Linux. */
const FOLDERS = ['/usr/share/seabios', '/usr/share/seavgabios', '/usr/share/qemu'] as const;
/** The packages of Debian and Ubuntu, and of Fedora. */
const PACKAGES = 'seabios, or seavgabios-bin';

/** Where the font of 8 x 16 dots starts in a VGA BIOS: an empty glyph, then a face. */
const FONT_START = [
  ...new Array(16).fill(0),
  ...[0, 0, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e, 0, 0, 0, 0],
];
export const FONT_HEIGHT = 16;
const FONT_BYTES = 256 * FONT_HEIGHT;

type Services = Pick<MachineServices, 'readFile' | 'allocateMemory' | 'warn' | 'firmware'>;
type RomOptions = { readonly romfile?: string | undefined; readonly rombar: boolean };

/**
 * Adds to a display adapter the BIOS that its options select. Without firmware there is none, since nothing would run
 * it.
 * @param file the name that QEMU has for it: `vgabios-stdvga.bin`
 * @throws an error for the user
 */
export function addVgaBios(fn: PciFunction, services: Services, options: RomOptions, file: string): void {
  const { romfile, rombar } = options;
  if (!rombar || romfile === '' || (romfile === undefined && services.firmware === null)) return;
  const ids = { vendor: fn.config.u16(REG.vendor), device: fn.config.u16(REG.device) };
  const bytes = romfile === undefined ? readBios(services, file) : services.readFile(romfile, MAX_ROM);
  if (bytes === null) {
    services.warn(
      `${fn.name}: firmware shows nothing on this screen: install the package ${PACKAGES}, or give romfile`,
    );
    return;
  }
  for (const warning of checkRom(romfile ?? file, bytes, ids).warnings)
    services.warn(`${fn.name}: ${warning}`);
  const memory = services.allocateMemory(`${fn.name} ROM`, romBarSize(bytes.length), 'rom');
  memory.writable(0, bytes.length).set(bytes);
  fn.addRom(memory);
}

/** The font of 8 x 16 dots in the VGA BIOS: 16 bytes per character. Null if this host has none. */
export function biosFont(services: Pick<Services, 'readFile'>): Uint8Array | null {
  const bios = readBios(services, 'vgabios-stdvga.bin');
  const at = bios === null ? -1 : Buffer.from(bios).indexOf(Uint8Array.from(FONT_START));
  return at < 0 || at + FONT_BYTES > bios!.length ? null : bios!.slice(at, at + FONT_BYTES);
}

function readBios({ readFile }: Pick<Services, 'readFile'>, file: string): Uint8Array | null {
  for (const folder of FOLDERS) {
    try {
      return readFile(`${folder}/${file}`, MAX_ROM);
    } catch {
      // From another distribution.
    }
  }
  return null;
}
