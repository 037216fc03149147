import { ipxeRom } from '../../pci/option-rom.ts';
import { pciNic } from '../nic-rows.ts';
import { E1000 } from './e1000.ts';

export const e1000 = pciNic({
  type: 'e1000',
  aliases: ['e1000-82540em', 'e1000-82544gc', 'e1000-82545em'],
  title: 'Intel 82540EM network card',
  description: 'an Intel 82540EM, a gigabit card; most operating systems have a driver',
  rom: ipxeRom('e1000'),
  acpi: { assertsPme: true },
  build: parts => new E1000(parts),
});
