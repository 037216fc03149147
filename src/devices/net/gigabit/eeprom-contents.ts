import type { PciFunction } from '../../pci/pci-function.ts';
import { REG } from '../../pci/registers.ts';

const WORDS = 64;
/** Words of the EEPROM map (§5.6). */
const WORD = {
  compatibility: 0x03,
  control1: 0x0a,
  subsystem: 0x0b,
  subsystemVendor: 0x0c,
  device: 0x0d,
  vendor: 0x0e,
  control2: 0x0f,
  control3: 0x24,
  checksum: 0x3f,
} as const;
/** Its signature is valid, IDs are loaded, full duplex. */
const CONTROL1 = 0x4403;
/** Magic packets wake the machine, after power-on and by the drivers' default. */
const APM_ENABLE = 0x0400;
/** The sum of all words. */
const SUM = 0xbaba;

/** The EEPROM of a gigabit card: its address, the IDs of its function, and the checksum that drivers verify. */
export function eepromWords(mac: Uint8Array, { config }: PciFunction): Uint16Array {
  const words = new Uint16Array(WORDS).fill(0xffff);
  for (let i = 0; i < 3; i++) words[i] = mac[2 * i]! | (mac[2 * i + 1]! << 8);
  words[WORD.compatibility] = 0;
  words[WORD.control1] = CONTROL1;
  words[WORD.subsystem] = config.u16(REG.subsystem);
  words[WORD.subsystemVendor] = config.u16(REG.subsystemVendor);
  words[WORD.device] = config.u16(REG.device);
  words[WORD.vendor] = config.u16(REG.vendor);
  words[WORD.control2] = 0;
  words[WORD.control3] = APM_ENABLE;
  const sum = words.subarray(0, WORD.checksum).reduce((total, word) => total + word, 0);
  words[WORD.checksum] = SUM - sum;
  return words;
}

/** Whether the contents enable waking by magic packets after power-on. */
export function wakesByApm(words: Uint16Array): boolean {
  return (words[WORD.control3]! & APM_ENABLE) !== 0;
}
