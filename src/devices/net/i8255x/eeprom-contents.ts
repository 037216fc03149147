const WORDS = 64;
/** Words of the EEPROM map (§6.5). */
const WORD = { compatibility: 3, controllerType: 5, primaryPhy: 6, id: 10, checksum: WORDS - 1 } as const;
/** An 82555 at address 1. */
const PRIMARY_PHY = 0x4701;
/** Its signature; and that the card wakes up by magic packets, unless its driver says otherwise. */
const ID = 0x4000;
const WAKES = 0x0020;
/** What all words add up to. */
const SUM = 0xbaba;

/** What the EEPROM of a card has: its address, its PHY, and the checksum that drivers look at. @param wakes by magic packets */
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
