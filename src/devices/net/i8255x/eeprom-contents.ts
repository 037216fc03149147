const WORDS = 64;
/** Words of the EEPROM map (§6.5). */
const WORD = { compatibility: 3, controllerType: 5, primaryPhy: 6, id: 10, checksum: WORDS - 1 } as const;
/** An 82555 at address 1. */
const PRIMARY_PHY = 0x4701;
/** A valid signature; and that magic packets wake the machine, unless the driver disables that. */
const ID = 0x4000;
const WAKES = 0x0020;
/** The sum of all words. */
const SUM = 0xbaba;

/** The EEPROM of a card: its address, its PHY, and the checksum that drivers verify. @param wakes by magic packets */
export function eepromWords(mac: Uint8Array, wakes: boolean): Uint16Array {
  const words = new Uint16Array(WORDS);
  for (let i = 0; i < 3; i++) words[i] = mac[2 * i]! | (mac[2 * i + 1]! << 8);
  words[WORD.compatibility] = 0x0203;
  words[WORD.controllerType] = 0x0201;
  words[WORD.primaryPhy] = PRIMARY_PHY;
  words[WORD.id] = ID | (wakes ? WAKES : 0);
  words[WORD.checksum] = SUM - words.reduce((total, word) => total + word, 0);
  return words;
}
