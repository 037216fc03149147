import { SLEEP_TYPE_S5 } from '../../devices/legacy/acpi-pm.ts';
import { ECAM, IRQ, PCI_INTX_GSI, PCI_INTX_GSIS, PCI_IO, PCI_MMIO32, PORT } from '../memory/layout.ts';
import { type Aml, concat, device, eisaId, integer, name, packageOf, scope } from './aml.ts';
import {
  busWindow,
  isaInterrupt,
  memory32,
  memoryWindow32,
  memoryWindow64,
  ports,
  portWindow,
  type Resource,
  resourceTemplate,
} from './resources.ts';
import { systemTable } from './table.ts';

const INTX_PINS = 4;

export type DsdtOptions = {
  /** Where 64-bit PCI BARs may be. */
  readonly mmio64: { readonly start: number; readonly size: number };
  /** Slots on bus 0 with a device that has an INTx pin. Few entries: interpreting AML is a good part of a slow boot. */
  readonly intxSlots: readonly number[];
};

/** Differentiated System Description Table: the parts of the machine that a guest can't discover. */
export function dsdt(options: DsdtOptions): Uint8Array {
  const softOff = packageOf(integer(SLEEP_TYPE_S5), integer(0), integer(0), integer(0));
  const systemBus = scope(
    '_SB',
    hostBridge(options),
    isaDevice('COM1', 'PNP0501', ports(PORT.com1, 8), isaInterrupt(IRQ.com1)),
    isaDevice('RTC', 'PNP0B00', ports(PORT.rtc, 2), isaInterrupt(IRQ.rtc)),
    isaDevice(
      'KBD',
      'PNP0303',
      ports(PORT.i8042Data, 1),
      ports(PORT.i8042Command, 1),
      isaInterrupt(IRQ.keyboard),
    ),
    isaDevice('MBRD', 'PNP0C02', memory32(ECAM.start, ECAM.size)),
  );
  return systemTable('DSDT', 2, concat(name('_S5', softOff), systemBus));
}

function hostBridge({ mmio64, intxSlots }: DsdtOptions): Aml {
  const configEnd = PORT.pciConfigData + 4;
  const windows = resourceTemplate(
    busWindow(0, ECAM.buses),
    ports(PORT.pciConfigAddress, configEnd - PORT.pciConfigAddress),
    portWindow(PCI_IO.start, PCI_IO.size),
    memoryWindow32(PCI_MMIO32.start, PCI_MMIO32.size),
    memoryWindow64(mmio64.start, mmio64.size),
  );
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A08')),
    name('_CID', eisaId('PNP0A03')),
    name('_CRS', windows),
    name('_PRT', packageOf(...intxSlots.flatMap(slotRouting))),
  );
}

/** PCI routing table entries (ACPI 6.5 §6.2.13) of one slot: pins wired to IOAPIC inputs, no link devices. */
function slotRouting(slot: number): Aml[] {
  return Array.from({ length: INTX_PINS }, (_, pin) => {
    const gsi = PCI_INTX_GSI + ((slot + pin) % PCI_INTX_GSIS);
    return packageOf(integer(slot * 0x1_0000 + 0xffff), integer(pin), integer(0), integer(gsi));
  });
}

function isaDevice(path: string, id: string, ...resources: Resource[]): Aml {
  return device(path, name('_HID', eisaId(id)), name('_CRS', resourceTemplate(...resources)));
}
