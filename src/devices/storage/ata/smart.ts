import { SECTOR } from './registers.ts';

/** SMART subcommands (ACS-2 §7.48), in the features register. */
export const SMART = {
  readData: 0xd0,
  readThresholds: 0xd1,
  attributeAutosave: 0xd2,
  saveAttributes: 0xd3,
  executeOffline: 0xd4,
  readLog: 0xd5,
  enable: 0xd8,
  disable: 0xd9,
  returnStatus: 0xda,
} as const;

/** The required value of bits 8 to 23 of the address, and their value if the drive is about to fail. */
export const SMART_KEY = 0xc24f;

/** Attributes: number, threshold, flags. All are at their best value. */
const ATTRIBUTES: readonly (readonly [id: number, threshold: number, flags: number])[] = [
  // Read errors, spin-up time, starts, reallocated sectors, power-on hours, power cycles.
  [1, 6, 0x03],
  [3, 0, 0x03],
  [4, 20, 0x02],
  [5, 36, 0x03],
  [9, 0, 0x03],
  [12, 0, 0x03],
];
const BEST = 100;

/** The data of SMART READ DATA. */
export function smartData(): Uint8Array {
  const data = new Uint8Array(SECTOR);
  data[0] = 1;
  ATTRIBUTES.forEach(([id, _, flags], index) => {
    data.set([id, flags, 0, BEST, BEST], 2 + 12 * index);
  });
  // Offline collection has never been started; a self-test takes at most two minutes.
  data[362] = 0x00;
  data[363] = 0x00;
  data[367] = 0x10;
  data[368] = 0x03;
  data[370] = 0x01;
  data[372] = 2;
  data[373] = 2;
  return withChecksum(data);
}

/** The data of SMART READ THRESHOLDS. */
export function smartThresholds(): Uint8Array {
  const data = new Uint8Array(SECTOR);
  data[0] = 1;
  ATTRIBUTES.forEach(([id, threshold], index) => {
    data.set([id, threshold], 2 + 12 * index);
  });
  return withChecksum(data);
}

/** The supported logs: the directory, the summary of errors and the self-tests, both empty. */
export function smartLog(address: number): Uint8Array | null {
  const data = new Uint8Array(SECTOR);
  switch (address) {
    case 0:
      data[0] = 1;
      data[2 * 1] = 1;
      data[2 * 6] = 1;
      return data;
    case 1:
    case 6:
      data[0] = 1;
      return withChecksum(data);
    default:
      return null;
  }
}

/** Sets the last byte so that all bytes of the sector add up to 0. */
export function withChecksum(data: Uint8Array): Uint8Array {
  data[SECTOR - 1] = 0;
  data[SECTOR - 1] = 0x100 - (data.reduce((sum, byte) => sum + byte, 0) & 0xff);
  return data;
}
