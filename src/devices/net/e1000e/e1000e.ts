import type { DeviceState } from '../../device.ts';
import { addEndpointCapability } from '../../pci/capabilities.ts';
import { stateOf } from '../../state.ts';
import { GigabitCard, type GigabitCore, type GigabitModel, type GigabitParts } from '../gigabit/card.ts';
import { eepromWords, wakesByApm } from '../gigabit/eeprom-contents.ts';
import { PHY } from '../gigabit/phy.ts';
import { Receive } from '../gigabit/receive.ts';
import { ReceiveRing } from '../gigabit/receive-ring.ts';
import { TCTL } from '../gigabit/registers.ts';
import { Transmit } from '../gigabit/transmit.ts';
import type { CardParts } from '../nic-rows.ts';
import { receiveFormats } from './descriptors.ts';
import { Interrupts } from './interrupts.ts';
import { Nvm } from './nvm.ts';
import {
  ALIASES,
  CTRL,
  EECD,
  EEMNGCTL,
  EERW,
  IVAR,
  LAST_STATISTIC,
  MASKS,
  RCTL,
  REG,
  STATUS,
  SWSM,
  TARC_ENABLE,
} from './registers.ts';
import { ReceiveSideScaling } from './rss.ts';
import { SystemTime } from './system-time.ts';

const MEMORY_BAR_BYTES = 0x2_0000;
const IO_BAR_PORTS = 32;

const MODEL: GigabitModel = {
  identity: {
    ...{ vendor: 0x8086, device: 0x10d3, revision: 0, classCode: 0x020000 },
    ...{ subsystemVendor: 0x8086, subsystem: 0 },
  },
  masks: MASKS,
  aliases: ALIASES,
  initial: {
    [REG.CTRL]: CTRL.FD | CTRL.SLU | CTRL.SPEED_1000 | CTRL.ADVD3WUC,
    [REG.STATUS]: STATUS.FD | STATUS.SPEED_1000 | STATUS.ASDV_1000,
    [REG.EERD]: EERW.DONE,
    [REG.EEWR]: EERW.DONE,
    [REG.VET]: 0x8100,
    [REG.LEDCTL]: 0x0706_8302,
    // Half of the packet buffer is for receiving.
    [REG.PBA]: 0x0014_0014,
    [REG.EEMNGCTL]: EEMNGCTL.CFG_DONE,
    [REG.TIPG]: 0x0060_2008,
    [REG.PSRCTL]: 0x0004_0402,
    [REG.RDBAL + 10]: 1 << 16,
    [REG.RDBAL1 + 10]: 1 << 16,
    [REG.TARC0]: TARC_ENABLE | 3,
    [REG.TARC1]: TARC_ENABLE | 3,
    [REG.RXCSUM]: 0x300,
  },
  lastStatistic: LAST_STATISTIC,
  // Its register 22 selects a page.
  phy: {
    id: 0x0141_0cb1,
    initial: { [PHY.specificControl]: 0x3360 },
    stored: [PHY.nextPage, 22, 25, 26, 29, 30],
    pages: { count: 8, select: 22 },
  },
};

/**
 * An Intel 82574L, a gigabit card on PCI Express: two queues in each direction, MSI-X, and no flash memory besides its
 * EEPROM. Received checksums are left to the driver (IXSM).
 */
export class E1000e extends GigabitCard {
  constructor(parts: CardParts) {
    super(MODEL, parts, (core, registers) => {
      core.function.addBar(0, { kind: 'memory32', size: MEMORY_BAR_BYTES, handler: registers.memory });
      core.function.addBar(2, { kind: 'io', size: IO_BAR_PORTS, handler: registers.ports });
      addEndpointCapability(core.function);
      return build(parts, core);
    });
  }
}

function build({ mac, services }: CardParts, core: GigabitCore): GigabitParts {
  const { clock } = services;
  const { function: fn, words, memory, port, statistics, filter, phy } = core;
  const interrupts = new Interrupts({
    ...{ function: fn, words, clock, port, statistics },
    allocateMsi: () => services.allocateMsi(),
  });
  const format = receiveFormats(words);
  const scaling = new ReceiveSideScaling(words);
  const rings = [REG.RDBAL, REG.RDBAL1].map(
    (at, queue) =>
      new ReceiveRing({
        ...{ words, memory, at, format },
        interrupts: { received: () => interrupts.received(queue), low: () => interrupts.low(queue) },
      }),
  );
  const receive = new Receive({
    ...{ words, filter, statistics },
    memoryAllowed: () => memory.allowed,
    ringOf: frame => {
      scaling.direct(frame);
      return rings[frame.queue]!;
    },
  });
  const transmits = [REG.TDBAL, REG.TDBAL1].map((at, queue) => {
    const arbitration = queue === 0 ? REG.TARC0 : REG.TARC1;
    return new Transmit({
      ...{ words, memory, statistics, port, clock, at },
      interrupts: {
        raise: causes => interrupts.raise(causes),
        sent: delayed => interrupts.sent(queue, delayed),
      },
      enabled: () => (words[REG.TCTL]! & TCTL.EN) !== 0 && (words[arbitration]! & TARC_ENABLE) !== 0,
      reportsAll: () => words[REG.IVAR]! >= IVAR.INT_ON_ALL_WB,
      loopback: () => phy.loopback || (words[REG.RCTL]! & RCTL.LBM) !== 0,
      deliver: frame => receive.receive(frame),
    });
  });
  const nvm = new Nvm(eepromWords(mac, fn));
  const time = new SystemTime(clock);
  return {
    ...{ interrupts, receive, transmits, eeprom: nvm.words },
    wakesByApm: () => wakesByApm(nvm.words),
    read: register => {
      switch (register) {
        case REG.STATUS:
          return statusOf(words, phy.link);
        case REG.EECD: {
          const granted = (words[REG.EECD]! & EECD.REQ) !== 0 ? EECD.GNT : 0;
          return words[REG.EECD]! | granted | EECD.PRES | EECD.AUTO_RD;
        }
        case REG.ICS:
          return interrupts.causes;
        case REG.IMC:
          return 0;
        case REG.SWSM: {
          const semaphores = words[REG.SWSM]!;
          words[REG.SWSM] = semaphores | SWSM.SMBI;
          return semaphores;
        }
        default:
          return time.read(register);
      }
    },
    written: (register, value) => {
      switch (register) {
        case REG.EECD:
          words[register] = value & EECD.REQ;
          return;
        case REG.EERD:
          words[register] = nvm.read(value);
          return;
        case REG.EEWR:
          words[register] = nvm.write(value);
          return;
        case REG.RDLEN1:
        case REG.RDH1:
        case REG.RDT1:
        case REG.MRQC:
        case REG.RFCTL:
          port.roomAgain();
          return;
        case REG.TDT1:
          transmits[1]!.work();
          return;
        case REG.TARC0:
        case REG.TARC1:
          for (const transmit of transmits) transmit.work();
          return;
        case REG.IVAR:
          interrupts.update();
          return;
        case REG.PBACLR:
          interrupts.clearPending(value);
          return;
        default:
          time.write(register, value);
      }
    },
    reset: () => {
      nvm.reset();
      interrupts.resetMessages();
      time.reset();
    },
    save: () => ({
      nvm: nvm.save(),
      transmit0: transmits[0]!.save(),
      transmit1: transmits[1]!.save(),
      time: time.save(),
    }),
    load: (state: DeviceState) => {
      nvm.load(state, 'nvm');
      for (const [queue, transmit] of transmits.entries()) transmit.load(stateOf(state, `transmit${queue}`));
      time.load(stateOf(state, 'time'));
    },
    close: () => interrupts.release(),
  };
}

function statusOf(words: Uint32Array, link: boolean): number {
  const isMaster = (words[REG.CTRL]! & CTRL.GIO_MASTER_DISABLE) === 0;
  return words[REG.STATUS]! | (link ? STATUS.LU : 0) | (isMaster ? STATUS.GIO_MASTER_ENABLE : 0);
}
