import { concat } from '../../devices/acpi/aml.ts';
import { type FwCfgItems, KEY, u16, u32, u64 } from '../../devices/firmware/fw-cfg-items.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import type { TableFiles } from '../acpi/table-loader.ts';
import { addAcpiFiles } from '../chipset/acpi-files.ts';
import { maxCpus } from '../cpu/cpu-topology.ts';
import type { MachineConfig } from '../machine/config.ts';
import { KVM_IDENTITY_MAP, PORT } from '../memory/layout.ts';
import { KVM_PAGES_SIZE } from './memory-map.ts';

/** Types of ranges (ACPI 6.5 §15). */
const E820 = { ram: 1, reserved: 2 } as const;
/** The sleep states by number; bit 7: the guest may enter it. Only running and soft off. */
const SYSTEM_STATES = Uint8Array.of(0x80, 0, 0, 0, 0, 0x80);

/** What firmware gets to know of its machine by fw_cfg. @param tables the ACPI tables, as the machine is by then */
export function addFirmwareItems(
  items: FwCfgItems,
  config: MachineConfig,
  memory: GuestMemory,
  tables: () => TableFiles,
): void {
  items.set(KEY.ramSize, u64(config.memory.bytes));
  items.set(KEY.noGraphic, u16(1));
  items.set(KEY.cpus, u16(config.cpus));
  items.set(KEY.maxCpus, u16(maxCpus(config)));
  items.setFile('etc/e820', e820(memory));
  items.setFile('etc/max-cpus', u16(maxCpus(config)));
  items.setFile('etc/system-states', SYSTEM_STATES);
  items.setFile('etc/sercon-port', u16(PORT.com1));
  addAcpiFiles(items, tables);
}

function e820({ regions }: GuestMemory): Uint8Array {
  const entry = (address: number, size: number, type: number) => concat(u64(address), u64(size), u32(type));
  return concat(
    entry(KVM_IDENTITY_MAP, KVM_PAGES_SIZE, E820.reserved),
    ...regions.map(({ address, size }) => entry(address, size, E820.ram)),
  );
}
