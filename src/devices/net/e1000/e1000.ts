import type { DeviceState } from '../../device.ts';
import { stateOf } from '../../state.ts';
import { GigabitCard, type GigabitCore, type GigabitModel } from '../gigabit/card.ts';
import { bufferSize, LegacyFormat } from '../gigabit/descriptors.ts';
import { eepromWords, wakesByApm } from '../gigabit/eeprom-contents.ts';
import { PHY } from '../gigabit/phy.ts';
import { Receive } from '../gigabit/receive.ts';
import { ReceiveRing } from '../gigabit/receive-ring.ts';
import { CTRL, RCTL, STATUS, TCTL, word } from '../gigabit/registers.ts';
import { Transmit } from '../gigabit/transmit.ts';
import type { CardParts } from '../nic-rows.ts';
import { SerialEeprom } from '../serial-eeprom.ts';
import { Interrupts } from './interrupts.ts';
import { EECD, EERD, MASKS, REG } from './registers.ts';

const MEMORY_BAR_BYTES = 0x2_0000;
const IO_BAR_PORTS = 64;

const MODEL: GigabitModel = {
  identity: {
    ...{ vendor: 0x8086, device: 0x100e, revision: 3, classCode: 0x020000 },
    ...{ subsystemVendor: 0x8086, subsystem: 0x001e },
  },
  masks: MASKS,
  initial: {
    [REG.CTRL]: CTRL.FD | CTRL.ASDE | CTRL.SLU | CTRL.SPEED_1000,
    [REG.STATUS]: STATUS.FD | STATUS.SPEED_1000 | STATUS.ASDV_1000,
    [REG.VET]: 0x8100,
    [REG.LEDCTL]: 0x0706_8302,
    // 48 of the 64 KiB of the packet buffer are for receiving.
    [REG.PBA]: 0x0010_0030,
    [REG.TIPG]: 0x0060_2008,
    [REG.TXDMAC]: 1,
  },
  lastStatistic: word(0x40fc),
  // An 88E1011S. It selects pages by register 29, and shows one of their registers in 30.
  phy: {
    id: 0x0141_0c20,
    initial: { [PHY.specificControl]: 0x0078, [PHY.extendedControl]: 0x0c60 },
    stored: [29, 30],
  },
};

/** An Intel 82540EM, a gigabit card on PCI. Received checksums are left to the driver (IXSM). */
export class E1000 extends GigabitCard {
  constructor(parts: CardParts) {
    super(MODEL, parts, (core, registers) => {
      core.function.addBar(0, { kind: 'memory32', size: MEMORY_BAR_BYTES, handler: registers.memory });
      core.function.addBar(1, { kind: 'io', size: IO_BAR_PORTS, handler: registers.ports });
      return build(parts, core);
    });
  }
}

function build({ mac, services: { clock } }: CardParts, core: GigabitCore) {
  const { function: fn, words, memory, port, statistics, filter, phy } = core;
  const interrupts = new Interrupts(words, clock, level => {
    fn.setInterrupt(level);
    if (level) port.interrupted('receive');
  });
  const format = new LegacyFormat(() => bufferSize(words[REG.RCTL]!));
  const ring = new ReceiveRing({ words, memory, interrupts, at: REG.RDBAL, format: () => format });
  const receive = new Receive({
    ...{ words, filter, statistics },
    memoryAllowed: () => memory.allowed,
    ringOf: () => ring,
  });
  const transmit = new Transmit({
    ...{ words, memory, interrupts, statistics, port, clock, at: REG.TDBAL },
    enabled: () => (words[REG.TCTL]! & TCTL.EN) !== 0,
    loopback: () => phy.loopback || (words[REG.RCTL]! & RCTL.LBM) !== 0,
    deliver: frame => receive.receive(frame),
  });
  const eeprom = new SerialEeprom(eepromWords(mac, fn));
  return {
    ...{ interrupts, receive, transmits: [transmit], eeprom: eeprom.words },
    wakesByApm: () => wakesByApm(eeprom.words),
    read: (register: number) => {
      if (register === REG.EECD) return readPins(words[REG.EECD]!, eeprom);
      return register === REG.ICS || register === REG.IMC ? 0 : null;
    },
    written: (register: number, value: number) => {
      if (register === REG.EECD) {
        words[register] = value & (EECD.SK | EECD.CS | EECD.DI | EECD.FWE | EECD.REQ);
        eeprom.setPins((value & EECD.CS) !== 0, (value & EECD.SK) !== 0, (value & EECD.DI) !== 0);
      } else if (register === REG.EERD) words[register] = readWord(value, eeprom.words);
    },
    reset: () => eeprom.reset(),
    save: () => ({
      eeprom: eeprom.save(),
      eepromWords: eeprom.saveWords(),
      transmit: transmit.save(),
    }),
    load: (state: DeviceState) => {
      eeprom.load(stateOf(state, 'eeprom'));
      eeprom.loadWords(state, 'eepromWords');
      transmit.load(stateOf(state, 'transmit'));
    },
  };
}

function readPins(written: number, eeprom: SerialEeprom): number {
  const granted = (written & EECD.REQ) !== 0 ? EECD.GNT : 0;
  return written | granted | EECD.PRES | (eeprom.output ? EECD.DO : 0);
}

/** What a write to EERD leaves there: a word is read immediately. */
function readWord(value: number, words: Uint16Array): number {
  const address = (value >>> EERD.addressShift) & 0xff;
  return (value & EERD.START) === 0
    ? value & (0xff << EERD.addressShift)
    : ((words[address] ?? 0) << EERD.dataShift) | (address << EERD.addressShift) | EERD.DONE;
}
