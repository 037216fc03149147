import { ipxeRom } from '../../pci/option-rom.ts';
import { pciNic } from '../nic-rows.ts';
import { Pcnet } from './pcnet.ts';

export const pcnet = pciNic({
  type: 'pcnet',
  title: 'AMD PCnet',
  description: 'a Fast Ethernet card of the 1990s, as its model FAST III (Am79C973)',
  rom: ipxeRom('pcnet'),
  build: parts => new Pcnet(parts),
});
