import { ipxeRom } from '../../pci/option-rom.ts';
import { pciNic } from '../nic-rows.ts';
import { I8255x, type Model } from './i8255x.ts';

/** The ROM of all cards of the family. */
const rom = ipxeRom('eepro100');

const description = 'a card for 10 and 100 Mbit/s, as many servers had';

const I82551: Model = { identity: { device: 0x1209, revision: 0x10 }, isExtended: true, wakesBy: 'all' };
const I82557B: Model = { identity: { device: 0x1229, revision: 0x02 }, isExtended: false, wakesBy: null };
const I82559ER: Model = {
  identity: { device: 0x1209, revision: 0x09 },
  isExtended: true,
  wakesBy: 'no magic',
};

export const i82551 = pciNic({
  type: 'i82551',
  title: 'Intel 82551 network card',
  ...{ description, rom, acpi: { assertsPme: true } },
  build: parts => new I8255x(parts, I82551),
});

export const i82557b = pciNic({
  type: 'i82557b',
  title: 'Intel 82557B network card',
  ...{ description, rom },
  build: parts => new I8255x(parts, I82557B),
});

export const i82559er = pciNic({
  type: 'i82559er',
  title: 'Intel 82559ER network card',
  ...{ description, rom, acpi: { assertsPme: true } },
  build: parts => new I8255x(parts, I82559ER),
});
