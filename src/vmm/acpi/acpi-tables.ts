import { LOW_MEMORY } from '../memory/layout.ts';
import { concat, little } from './aml.ts';
import { type DsdtOptions, dsdt } from './dsdt.ts';
import { facs, fadt } from './fadt.ts';
import { madt } from './madt.ts';
import { mcfg } from './mcfg.ts';
import { type NumaNode, slit, srat } from './numa.ts';
import { rootPointer, systemTable } from './table.ts';

export type AcpiOptions = DsdtOptions & {
  /** By vCPU. */
  readonly apicIds: readonly number[];
  /** NUMA nodes, if there are several, and where guest RAM is. */
  readonly numa?: { readonly nodes: readonly NumaNode[]; readonly ram: Parameters<typeof srat>[2] };
};

export type AcpiTables = {
  /** Guest-physical address of the RSDP. */
  readonly rsdp: number;
  /** What to copy to guest memory, and where. */
  readonly blobs: readonly AcpiBlob[];
};

export type AcpiBlob = { readonly signature: string; readonly address: number; readonly bytes: Uint8Array };

const RSDP_SIZE = 36;
/** The FACS has to be on such a boundary (ACPI 6.5 §5.2.10). */
const ALIGNMENT = 64;

/** The machine's ACPI tables, at their places from `LOW_MEMORY.rsdp` on. */
export function buildAcpiTables(options: AcpiOptions): AcpiTables {
  const { numa } = options;
  const blobs: AcpiBlob[] = [];
  let next: number = LOW_MEMORY.rsdp + RSDP_SIZE;
  const place = (signature: string, bytes: Uint8Array): number => {
    const address = Math.ceil(next / ALIGNMENT) * ALIGNMENT;
    next = address + bytes.length;
    blobs.push({ signature, address, bytes });
    return address;
  };
  const dsdtAddress = place('DSDT', dsdt(options));
  const facsAddress = place('FACS', facs());
  const roots = [
    place('FACP', fadt(facsAddress, dsdtAddress)),
    place('APIC', madt(options.apicIds)),
    place('MCFG', mcfg()),
    ...(numa
      ? [place('SRAT', srat(numa.nodes, options.apicIds, numa.ram)), place('SLIT', slit(numa.nodes))]
      : []),
  ];
  const xsdt = place('XSDT', systemTable('XSDT', 1, concat(...roots.map(address => little(address, 8)))));
  if (next > LOW_MEMORY.rsdp + LOW_MEMORY.acpiSize) {
    throw new RangeError(`the ACPI tables need ${next - LOW_MEMORY.rsdp} bytes`);
  }
  blobs.push({ signature: 'RSDP', address: LOW_MEMORY.rsdp, bytes: rootPointer(xsdt) });
  return { rsdp: LOW_MEMORY.rsdp, blobs };
}
