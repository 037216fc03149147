import { ADDRESS_BYTES } from '../ethernet.ts';
import { REALTEK, RTL8139 } from './registers.ts';

/** Words of the EEPROM (data sheet, section 7.1). */
const WORD = {
  id: 0,
  vendor: 1,
  device: 2,
  subsystemVendor: 3,
  subsystem: 4,
  latency: 5,
  address: 7,
} as const;
const WORDS = 64;
const ID = 0x8129;
/** 8 µs of grant, 16 µs of latency. */
const LATENCY = 0x4020;

/** The EEPROM contents of a card with this address. */
export function eepromWords(mac: Uint8Array): Uint16Array {
  const words = new Uint16Array(WORDS);
  words[WORD.id] = ID;
  words[WORD.vendor] = REALTEK;
  words[WORD.device] = RTL8139;
  words[WORD.subsystemVendor] = REALTEK;
  words[WORD.subsystem] = RTL8139;
  words[WORD.latency] = LATENCY;
  for (let i = 0; i < ADDRESS_BYTES; i += 2) words[WORD.address + i / 2] = mac[i]! | (mac[i + 1]! << 8);
  return words;
}

/** The address in an EEPROM. */
export function addressIn(words: Uint16Array): Uint8Array {
  return new Uint8Array(words.slice(WORD.address, WORD.address + ADDRESS_BYTES / 2).buffer);
}
