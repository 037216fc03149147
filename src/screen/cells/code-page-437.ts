/** The characters of the IBM PC's font, code page 437, by their codes. */
const CHARACTERS = Array.from(
  ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼' +
    ' !"#$%&\'()*+,-./0123456789:;<=>?' +
    '@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_' +
    '`abcdefghijklmnopqrstuvwxyz{|}~⌂' +
    'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ' +
    'áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐' +
    '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
    'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ',
);

/** ASCII substitutes for the characters from 0x80. */
const ASCII =
  'CueaaaaceeeiiiAAEaAooouuyOUc$YPf' +
  'aiounNao?--24!<>.:#|++++++|+++++' +
  '++++-++++++++=+++++++++++++#_[]^' +
  'abGpSsutFTOd8fen=+><()/~o..vn2# ';

const CODES = Uint32Array.from(CHARACTERS, character => character.codePointAt(0)!);
const ASCII_CODES = Uint32Array.from({ length: 256 }, (_, code) =>
  code < 0x20
    ? code === 0
      ? 0x20
      : 0x2a
    : code < 0x7f
      ? code
      : code === 0x7f
        ? 0x5e
        : ASCII.charCodeAt(code - 0x80),
);

/** The Unicode code points of the font's characters; with `ascii`, their ASCII substitutes. */
export function codePage437(ascii: boolean): Uint32Array {
  return ascii ? ASCII_CODES : CODES;
}
