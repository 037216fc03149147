import { ipxeRom } from '../../pci/option-rom.ts';
import { pciNic } from '../nic-rows.ts';
import { Rtl8139 } from './rtl8139.ts';

export const rtl8139 = pciNic({
  type: 'rtl8139',
  title: 'Realtek RTL8139',
  description: 'a Realtek RTL8139C+, a Fast Ethernet card; most operating systems have a driver',
  rom: ipxeRom('rtl8139'),
  acpi: { assertsPme: true },
  build: parts => new Rtl8139(parts),
});
