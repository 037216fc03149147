/** Why a command has failed (SPC-4 §4.5): sense key, additional sense code and its qualifier. */
export type Sense = { readonly key: number; readonly asc: number; readonly ascq: number };

const sense = (key: number, asc: number, ascq = 0): Sense => ({ key, asc, ascq });

export const SENSE = {
  none: sense(0x0, 0x00),
  noMedium: sense(0x2, 0x3a),
  noMediumTrayClosed: sense(0x2, 0x3a, 0x01),
  noMediumTrayOpen: sense(0x2, 0x3a, 0x02),
  writeError: sense(0x3, 0x0c),
  unrecoveredRead: sense(0x3, 0x11),
  invalidOperation: sense(0x5, 0x20),
  outOfRange: sense(0x5, 0x21),
  invalidUnit: sense(0x5, 0x25),
  invalidField: sense(0x5, 0x24),
  incompatibleFormat: sense(0x5, 0x30, 0x02),
  savingNotSupported: sense(0x5, 0x39),
  removalPrevented: sense(0x5, 0x53, 0x02),
  wrongTrackMode: sense(0x5, 0x64),
  capacityChanged: sense(0x6, 0x2a, 0x09),
  mediumChanged: sense(0x6, 0x28),
  powerOn: sense(0x6, 0x29),
  writeProtected: sense(0x7, 0x27),
  aborted: sense(0xb, 0x00),
} as const;

/** In fixed format (SPC-4 table 28). */
export function encodeSense({ key, asc, ascq }: Sense): Uint8Array {
  const data = new Uint8Array(18);
  data[0] = 0x70;
  data[2] = key;
  data[7] = 10;
  data[12] = asc;
  data[13] = ascq;
  return data;
}
