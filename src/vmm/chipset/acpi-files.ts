import type { FwCfgContent, FwCfgItems } from '../../devices/firmware/fw-cfg-items.ts';
import { RSDP_FILE, TABLES_FILE, TPM_LOG_FILE } from '../acpi/acpi-tables.ts';
import { ENTRY_SIZE, loaderScript } from '../acpi/loader-script.ts';
import { RSDP } from '../acpi/table.ts';
import type { TableFiles } from '../acpi/table-loader.ts';

/**
 * Each file, and the unit to which its size is rounded up: once firmware has placed things, longer numbers take more
 * bytes of AML.
 */
const FILES = [
  { name: RSDP_FILE, unit: RSDP.length, bytesOf: ({ files }: TableFiles) => files.get(RSDP_FILE)! },
  { name: TABLES_FILE, unit: 4096, bytesOf: ({ files }: TableFiles) => files.get(TABLES_FILE)! },
  {
    name: 'etc/table-loader',
    unit: 32 * ENTRY_SIZE,
    bytesOf: ({ commands }: TableFiles) => loaderScript(commands),
  },
] as const;

/**
 * The ACPI tables as files of fw_cfg, with the script by which firmware places them. They describe what firmware has
 * set up, so they are built when firmware reads them; their sizes are fixed earlier.
 */
export function addAcpiFiles(items: FwCfgItems, build: () => TableFiles): void {
  for (const { name, unit, bytesOf } of FILES)
    items.setFile(
      name,
      acpiFile(name, unit, () => bytesOf(build())),
    );
  // Whether a machine has a log does not change.
  const log = build().files.get(TPM_LOG_FILE);
  if (log !== undefined) items.setFile(TPM_LOG_FILE, log);
}

function acpiFile(name: string, unit: number, build: () => Uint8Array): FwCfgContent {
  let size: number | null = null;
  let bytes: Uint8Array | null = null;
  const room = unit === RSDP.length ? 0 : unit / 2;
  const content = {
    get size(): number {
      size ??= Math.ceil((build().length + room) / unit) * unit;
      return size;
    },
    read: (offset: number, target: Uint8Array) => {
      bytes ??= build();
      if (bytes.length > content.size) throw new RangeError(`${name} has outgrown its ${size} bytes`);
      const part = bytes.subarray(offset, offset + target.length);
      target.set(part);
      target.fill(0, part.length);
    },
    select: () => {
      bytes = null;
    },
    reset: () => {
      size = null;
      bytes = null;
    },
  };
  return content;
}
