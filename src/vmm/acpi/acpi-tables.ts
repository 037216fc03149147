import type { AcpiParts } from '../../devices/acpi/acpi-parts.ts';
import { concat, little } from '../../devices/acpi/aml.ts';
import { cpuContainer } from './cpu-hotplug.ts';
import { type DsdtOptions, dsdt } from './dsdt.ts';
import { FADT_POINTERS, facs, fadt } from './fadt.ts';
import { hpetTable } from './hpet.ts';
import { madt } from './madt.ts';
import { mcfg } from './mcfg.ts';
import { type NumaNode, slit, srat } from './numa.ts';
import { CHECKSUM, RSDP, rootPointer, systemTable } from './table.ts';
import type { LoaderCommand, TableFiles } from './table-loader.ts';
import { TPM2_LOG, tpm2 } from './tpm2.ts';

export type AcpiOptions = DsdtOptions & {
  /** What the machine's devices add. */
  readonly parts: readonly AcpiParts[];
  /** By vCPU; vCPUs that may be added later come last. */
  readonly apicIds: readonly number[];
  /** Whether a vCPU is present. */
  readonly isPresent: (cpu: number) => boolean;
  /** Whether vCPUs come and go; default: they do not. */
  readonly cpuHotplug?: boolean;
  /** NUMA nodes, if there are several, and the ranges of guest RAM. */
  readonly numa?: { readonly nodes: readonly NumaNode[]; readonly ram: Parameters<typeof srat>[2] };
};

/** Names of the table files, as in QEMU. */
export const RSDP_FILE = 'etc/acpi/rsdp';
export const TABLES_FILE = 'etc/acpi/tables';
/** Initially empty: firmware logs its measurements in it. */
export const TPM_LOG_FILE = 'etc/tpm/log';

/** The FACS must be aligned to this (ACPI 6.5 §5.2.10). */
const ALIGNMENT = 64;
const HEADER = 36;

/** The machine's ACPI tables. */
export function buildAcpiTables(options: AcpiOptions): TableFiles {
  const { numa, parts, apicIds, isPresent, placed } = options;
  const tables = new TablesFile();
  const nodeOf = numa ? (cpu: number) => numa.nodes.findIndex(({ cpus }) => cpus.includes(cpu)) : null;
  const cpus = options.cpuHotplug ? cpuContainer(apicIds, nodeOf) : null;
  const dsdtAt = tables.add(dsdt(options, cpus));
  const facsAt = tables.add(facs());
  const has8042 = parts.some(part => part.is8042);
  const rtcWakes = parts.some(part => part.rtcWakes);
  const ports = placed && { pmBase: placed.pmBase, gpe0: placed.gpe0 };
  const fadtAt = tables.add(fadt({ facs: facsAt, dsdt: dsdtAt, has8042, rtcWakes, ...ports }));
  tables.relocate(fadtAt, FADT_POINTERS);
  const roots = [
    fadtAt,
    tables.add(madt(apicIds, isPresent)),
    ...(placed?.ecam === null ? [] : [tables.add(mcfg(placed?.ecam))]),
    ...parts.flatMap(({ hpet }) => (hpet ? [tables.add(hpetTable(hpet))] : [])),
    ...(numa ? [tables.add(srat(numa.nodes, apicIds, numa.ram)), tables.add(slit(numa.nodes))] : []),
  ];
  const log = addTpm(tables, options, roots);
  const rootTable = (signature: 'XSDT' | 'RSDT', size: 4 | 8) => {
    const at = tables.add(systemTable(signature, 1, pointers(roots, size)));
    tables.relocate(
      at,
      roots.map((_, index) => ({ offset: HEADER + size * index, size })),
    );
    return at;
  };
  const xsdtAt = rootTable('XSDT', 8);
  // Systems from before 2000, which only firmware boots, know no other root table.
  const rsdtAt = placed === undefined ? null : rootTable('RSDT', 4);

  const rsdp = rootPointer();
  rsdp.set(pointers([xsdtAt], 8), RSDP.xsdt);
  if (rsdtAt !== null) rsdp.set(pointers([rsdtAt], 4), RSDP.rsdt);
  const file = RSDP_FILE;
  return {
    files: new Map([[RSDP_FILE, rsdp], [TABLES_FILE, tables.bytes], ...log]),
    commands: [
      { kind: 'allocate', file, alignment: 16, zone: 'low' },
      { kind: 'allocate', file: TABLES_FILE, alignment: ALIGNMENT, zone: 'any' },
      ...[...log.keys()].map(
        each => ({ kind: 'allocate', file: each, alignment: ALIGNMENT, zone: 'any' }) as const,
      ),
      ...tables.commands,
      { kind: 'add-pointer', file, to: TABLES_FILE, offset: RSDP.xsdt, size: 8 },
      ...(rsdtAt === null
        ? []
        : [{ kind: 'add-pointer', file, to: TABLES_FILE, offset: RSDP.rsdt, size: 4 } as const]),
      // The first checksum covers the ACPI 1.0 fields; the second covers everything, including the first.
      { kind: 'add-checksum', file, offset: RSDP.checksum, start: 0, length: RSDP.firstLength },
      { kind: 'add-checksum', file, offset: RSDP.extendedChecksum, start: 0, length: RSDP.length },
    ],
  };
}

/** Adds the table of the machine's TPM, if it has one. @returns the file of its log, which only firmware writes */
function addTpm(
  tables: TablesFile,
  { parts, placed }: AcpiOptions,
  roots: number[],
): ReadonlyMap<string, Uint8Array> {
  const tpm = parts.find(({ tpm2 }) => tpm2 !== undefined)?.tpm2;
  if (tpm === undefined) return new Map();
  const hasLog = placed !== undefined;
  const at = tables.add(tpm2(tpm, hasLog));
  roots.push(at);
  if (!hasLog) return new Map();
  tables.relocate(at, [{ offset: TPM2_LOG.pointer, size: 8 }], TPM_LOG_FILE);
  return new Map([[TPM_LOG_FILE, new Uint8Array(TPM2_LOG.bytes)]]);
}

function pointers(offsets: readonly number[], size: 4 | 8): Uint8Array {
  return concat(...offsets.map(offset => little(offset, size)));
}

/** A file of consecutive tables, and the steps that fix up their pointers and checksums. */
class TablesFile {
  readonly commands: LoaderCommand[] = [];
  readonly #tables: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  #length = 0;

  /** @returns the table's offset in the file */
  add(bytes: Uint8Array): number {
    const at = Math.ceil(this.#length / ALIGNMENT) * ALIGNMENT;
    this.#tables.push({ at, bytes });
    this.#length = at + bytes.length;
    return at;
  }

  /** The table at `at` has pointers to other tables of the file, or to another file, at these offsets. */
  relocate(
    at: number,
    pointers: readonly { readonly offset: number; readonly size: 4 | 8 }[],
    to = TABLES_FILE,
  ): void {
    const { bytes } = this.#tables.find(table => table.at === at)!;
    // SeaBIOS adjusts a checksum, OVMF sums up all bytes and sets it: both work if it starts at zero.
    bytes[CHECKSUM] = 0;
    for (const { offset, size } of pointers) {
      this.commands.push({
        ...{ kind: 'add-pointer', file: TABLES_FILE, to },
        offset: at + offset,
        size,
      });
    }
    this.commands.push({
      ...{ kind: 'add-checksum', file: TABLES_FILE },
      ...{ offset: at + CHECKSUM, start: at, length: bytes.length },
    });
  }

  get bytes(): Uint8Array {
    const file = new Uint8Array(this.#length);
    for (const { at, bytes } of this.#tables) file.set(bytes, at);
    return file;
  }
}
