import { CPLUS_BANK, REG, REGISTERS } from './registers.ts';

/** The side effects of writes, by the registers' bytes. */
const ACTIONS = [
  ['transmitStatus', REG.tsd, 16],
  ['dumpTally', CPLUS_BANK + REG.dtccr, 8],
  ['command', REG.cr, 1],
  ['readPointer', REG.capr, 2],
  ['interrupts', REG.imr, 4],
  ['timer', REG.tctr, 4],
  ['missed', REG.mpc, 4],
  ['eeprom', REG.cr9346, 1],
  ['timer interval', REG.timerInt, 4],
  ['phyControl', REG.bmcr, 2],
  ['advertisement', REG.anar, 2],
  ['poll', REG.tppoll, 1],
  ['transmitRing', CPLUS_BANK + REG.tnpds, 16],
  ['receiveRing', REG.rdsar, 8],
] as const;

export type Action = (typeof ACTIONS)[number][0];

/** By the index of a byte in the register file; null if it is only stored. */
export const actionAt: readonly (Action | null)[] = Array.from(
  { length: CPLUS_BANK + REGISTERS },
  (_, at) => ACTIONS.find(([, start, bytes]) => at >= start && at < start + bytes)?.[0] ?? null,
);
