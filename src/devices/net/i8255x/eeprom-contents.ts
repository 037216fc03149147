const WORDS = 64;
/** Words of the EEPROM map (§6.5). */
const WORD = { compatibility: 3, controllerType: 5, primaryPhy: 6, id: 10, checksum: WORDS - 1 } as const;
/** An 82555 at address 1. */
const PRIMARY_PHY = 0x4701;
/** Its signature. */
const ID = 0x4000;
/** What all words add up to. */
const SUM = 0xbaba;

/** What the EEPROM of a card has: its address, its PHY, and the checksum that drivers look at. */
export function eepromWords(mac: Uint8Array): Uint16Array {
  const words = new Uint16Array(WORDS);
  for (let i = 0; i < 3; i++) words[i] = mac[2 * i]! | (mac[2 * i + 1]! << 8);
  words[WORD.compatibility] = 0x0203;
  words[WORD.controllerType] = 0x0201;
  words[WORD.primaryPhy] = PRIMARY_PHY;
  words[WORD.id] = ID;
  words[WORD.checksum] = SUM - words.reduce((total, word) => total + word, 0);
  return words;
}
