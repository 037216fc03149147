import { ipxeRom } from '../../pci/option-rom.ts';
import { pciNic } from '../nic-rows.ts';
import { Pcnet } from './pcnet.ts';

export const pcnet = pciNic({
  type: 'pcnet',
  title: 'AMD PCnet',
  description: 'an AMD PCnet-FAST III (Am79C973), a Fast Ethernet card',
  rom: ipxeRom('pcnet'),
  build: parts => new Pcnet(parts),
});
