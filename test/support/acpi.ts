import { deviceTable } from '../../src/devices/registry.ts';
import { type AcpiOptions, buildAcpiTables, RSDP_FILE } from '../../src/vmm/acpi/acpi-tables.ts';
import { loadTables } from '../../src/vmm/acpi/table-loader.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeMemory } from './fake-memory.ts';

/** A table as a guest finds it. */
export type FoundTable = {
  readonly signature: string;
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
};

/** The additions to the tables by the devices that every machine has. */
export function builtinParts(): AcpiOptions['parts'] {
  const { services } = new FakeMachine();
  return deviceTable.builtinBeside([]).flatMap(row => row.create(services).acpi ?? []);
}

/** The tables of a machine, placed from `start` on, in the order in which they reference each other. */
export function placeTables(options: AcpiOptions, start: number): FoundTable[] {
  const memory = new FakeMemory(2 ** 20);
  const placed = loadTables(buildAcpiTables(options), memory, { start, size: 2 ** 17 });
  const at = (address: number, length?: number): FoundTable => {
    const signature = Buffer.from(memory.readable(address, 4)).toString('latin1');
    const bytes = memory.readable(address, length ?? memory.readU32(address + 4)).slice();
    return { signature, address, bytes, view: new DataView(bytes.buffer) };
  };
  const rsdp = at(placed.get(RSDP_FILE)!, 36);
  const xsdt = at(Number(rsdp.view.getBigUint64(24, true)));
  const roots: FoundTable[] = [];
  for (let offset = 36; offset < xsdt.bytes.length; offset += 8)
    roots.push(at(Number(xsdt.view.getBigUint64(offset, true))));
  const [fadt] = roots;
  return [
    rsdp,
    xsdt,
    ...roots,
    at(fadt!.view.getUint32(36, true)),
    at(Number(fadt!.view.getBigUint64(140, true))),
  ];
}
