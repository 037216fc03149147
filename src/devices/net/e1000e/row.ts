import { ipxeRom } from '../../pci/option-rom.ts';
import { pciNic } from '../nic-rows.ts';
import { E1000e } from './e1000e.ts';

export const e1000e = pciNic({
  type: 'e1000e',
  title: 'Intel 82574L network card',
  description: 'an Intel 82574L, a gigabit card on PCI Express; the default of q35 machines',
  rom: ipxeRom('e1000e'),
  acpi: { assertsPme: true },
  build: parts => new E1000e(parts),
});
