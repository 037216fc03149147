import { ipxeRom } from '../../pci/option-rom.ts';
import { isaNic, pciNic } from '../nic-rows.ts';
import { Ne2kIsa } from './ne2k-isa.ts';
import { Ne2kPci } from './ne2k-pci.ts';
import { NE2000_PORTS } from './registers.ts';

export const ne2kPci = pciNic({
  type: 'ne2k_pci',
  title: 'Realtek RTL8029',
  description: 'an NE2000 on PCI, 10 Mbit/s, with programmed I/O',
  rom: ipxeRom('ne2k_pci'),
  build: parts => new Ne2kPci(parts),
});

export const ne2kIsa = isaNic({
  type: 'ne2k_isa',
  title: 'Novell NE2000',
  description: 'an ISA card, 10 Mbit/s, for systems that predate PCI',
  space: { iobase: 0x300, irq: 9, ports: NE2000_PORTS },
  pnpId: 'PNP80D6',
  build: parts => new Ne2kIsa(parts),
});
