import { CAPABILITY, CONFIG_SIZE, EXTENDED_CONFIG_SIZE, REG, STATUS } from '../pci/registers.ts';
import { CAPABILITY_RULES, EXTENDED_RULES, ruleFor } from './capability-table.ts';
import type { FoundCapability, HostConfig } from './host-config.ts';
import type { PassedFunction } from './passed-function.ts';
import { addVirtualExpress } from './virtual-express.ts';
import { VirtualPower } from './virtual-power.ts';

/** The offsets of the capabilities that other code adds; null for those that the device lacks. */
export type VirtualConfig = {
  readonly msi: number | null;
  readonly msix: number | null;
  readonly power: VirtualPower | null;
};

/** Offsets in the advanced features capability, and bits (Advanced Capabilities for Conventional PCI, ECN of 2006). */
const AF = { capabilities: 3, control: 4, status: 5, flrCapable: 0x2, flr: 0x1 } as const;

/** Status bits that this model sets: it links the capabilities. */
const OWN_STATUS = STATUS.capabilities;

/**
 * Builds the configuration space of a device as its guest sees it: header, capabilities by the rules of the tables, and
 * the device's own registers in between.
 *
 * @param extended whether the device has the extended part @param onFlr the guest has started a function level reset
 */
export function virtualConfig(
  fn: PassedFunction,
  host: HostConfig,
  extended: boolean,
  onFlr: () => void,
): VirtualConfig {
  const { config } = fn;
  fn.pass(REG.status, REG.status + 1, { writable: false, mask: 0xff & ~OWN_STATUS });
  fn.pass(REG.status + 1, REG.status + 2, { writable: true });
  fn.pass(REG.cacheLineSize, REG.latencyTimer + 1, { writable: true });
  config.define(REG.cardbusCis, 4, host.u32(REG.cardbusCis));
  config.define(REG.minGrant, 1, host.u8(REG.minGrant));
  config.define(REG.maxLatency, 1, host.u8(REG.maxLatency));

  fn.pass(REG.firstCapability, CONFIG_SIZE, { writable: true });
  const found = {
    msi: null as number | null,
    msix: null as number | null,
    power: null as VirtualPower | null,
  };
  const shown: FoundCapability[] = [];
  for (const capability of host.capabilities) {
    const { id, at, room } = capability;
    const rule = ruleFor(CAPABILITY_RULES, id);
    const size = Math.min(rule.size ?? room, room);
    if (rule.how === 'hidden') fn.hide(at, at + room);
    else shown.push(capability);
    if (rule.how === 'read') fn.pass(at + 2, at + size, { writable: false });
    if (rule.how !== 'virtual') continue;
    if (id === CAPABILITY.powerManagement) found.power ??= new VirtualPower(fn, host, at);
    else if (id === CAPABILITY.pciExpress) addVirtualExpress(fn, host, at, onFlr);
    else if (id === CAPABILITY.advancedFeatures) addAdvancedFeatures(fn, host, at, onFlr);
    else if (id === CAPABILITY.msi) found.msi ??= at;
    else if (id === CAPABILITY.msix) found.msix ??= at;
  }
  link(fn, shown);
  if (extended) showExtended(fn, host);
  return found;
}

function showExtended(fn: PassedFunction, host: HostConfig): void {
  fn.pass(CONFIG_SIZE, EXTENDED_CONFIG_SIZE, { writable: true });
  const shown: FoundCapability[] = [];
  for (const capability of host.extendedCapabilities) {
    const { id, at, room } = capability;
    const { how, size = room } = ruleFor(EXTENDED_RULES, id);
    if (how === 'hidden' || id === 0) fn.hide(at, at + room);
    else {
      shown.push(capability);
      fn.pass(at, at + Math.min(size, room), { writable: how === 'passed' });
    }
  }
  // The list starts at the first dword, with a null capability if there is none (PCI Express Base 4.0 §7.6.2).
  fn.pass(CONFIG_SIZE, CONFIG_SIZE + 4, { writable: false, mask: 0 });
  const list =
    shown[0]?.at === CONFIG_SIZE ? shown : [{ id: 0, at: CONFIG_SIZE, room: 0, version: 0 }, ...shown];
  list.forEach(({ id, version, at }, index) => {
    const next = list[index + 1]?.at ?? 0;
    fn.pass(at, at + 4, { writable: false, mask: 0 });
    fn.config.define(at, 4, (id | (version << 16) | (next << 20)) >>> 0);
  });
}

/** Links the capabilities that the guest sees. */
function link(fn: PassedFunction, shown: readonly FoundCapability[]): void {
  const { config } = fn;
  config.define(REG.capabilities, 1, shown[0]?.at ?? 0);
  config.define(REG.status, 2, shown.length > 0 ? STATUS.capabilities : 0);
  shown.forEach(({ id, at }, index) => {
    fn.pass(at, at + 2, { writable: false, mask: 0 });
    config.define(at, 1, id);
    config.define(at + 1, 1, shown[index + 1]?.at ?? 0);
  });
}

/** Function level reset of a conventional function. */
function addAdvancedFeatures(fn: PassedFunction, host: HostConfig, at: number, onFlr: () => void): void {
  const { config } = fn;
  const canReset = (host.u8(at + AF.capabilities) & AF.flrCapable) !== 0;
  fn.hide(at + AF.control, at + AF.control + 1);
  fn.pass(at + 2, at + AF.control, { writable: false });
  fn.pass(at + AF.status, at + AF.status + 1, { writable: false });
  config.define(at + AF.control, 1, 0, { writable: canReset ? AF.flr : 0 });
  fn.addHook({
    start: at + AF.control,
    end: at + AF.control + 1,
    afterWrite: () => {
      const started = (config.u8(at + AF.control) & AF.flr) !== 0;
      config.setU8(at + AF.control, 0);
      if (started) onFlr();
    },
  });
}
