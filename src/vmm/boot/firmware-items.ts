import { concat } from '../../devices/acpi/aml.ts';
import {
  type FwCfgContent,
  type FwCfgItems,
  KEY,
  u16,
  u32,
  u64,
} from '../../devices/firmware/fw-cfg-items.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import type { SleepStates } from '../../devices/machine-services.ts';
import type { TableFiles } from '../acpi/table-loader.ts';
import { addAcpiFiles } from '../chipset/acpi-files.ts';
import { maxCpus } from '../cpu/cpu-topology.ts';
import type { FirmwareBoot, MachineConfig } from '../machine/config.ts';
import { ALL_SLEEP_STATES } from '../machine/services.ts';
import { KVM_IDENTITY_MAP, PORT } from '../memory/layout.ts';
import { type BootCandidate, bootOrder } from './boot-order.ts';
import { LINUXBOOT } from './firmware-kernel.ts';
import { KVM_PAGES_SIZE } from './memory-map.ts';
import { SMBIOS_FILES, smbios, smbiosFacts } from './smbios.ts';

/** Types of ranges (ACPI 6.5 §15). */
const E820 = { ram: 1, reserved: 2 } as const;
/** Flag of a sleep state: the guest may enter it. */
const ENTERABLE = 0x80;

/** For `etc/boot-fail-wait`: SeaBIOS, which by default starts over after a minute, stops when it has found nothing to boot. */
const NEVER_RETRIES = 0xffff_ffff;

/** What firmware learns about its machine, evaluated when it asks. */
export type FirmwareFacts = {
  readonly tables: () => TableFiles;
  readonly bootCandidates: () => readonly BootCandidate[];
  /** Number of vCPUs that are present. */
  readonly presentCpus: () => number;
  /** Whether firmware has a screen to show text on. */
  readonly hasScreen: boolean;
};

/** Adds the fw_cfg items that describe the machine to firmware. */
export function addFirmwareItems(
  items: FwCfgItems,
  config: MachineConfig,
  memory: GuestMemory,
  { tables, presentCpus, bootCandidates, hasScreen }: FirmwareFacts,
): void {
  items.set(KEY.ramSize, u64(config.memory.bytes));
  const onSerial = !hasScreen || (config.boot.kind === 'firmware' && config.boot.serialConsole);
  items.set(KEY.noGraphic, u16(onSerial ? 1 : 0));
  items.set(KEY.cpus, {
    size: 2,
    read: (offset, target) => target.set(u16(presentCpus()).subarray(offset, offset + target.length)),
  });
  items.set(KEY.maxCpus, u16(maxCpus(config)));
  items.setFile('etc/e820', e820(memory));
  items.setFile('etc/max-cpus', u16(maxCpus(config)));
  items.setFile('etc/system-states', systemStates(config.sleepStates ?? ALL_SLEEP_STATES));
  if (onSerial) items.setFile('etc/sercon-port', u16(PORT.com1));
  addAcpiFiles(items, tables);
  addSmbios(items, config, memory);
  if (config.boot.kind === 'firmware') addBootItems(items, config.boot, bootCandidates);
}

/** The sleep states by number, each with its sleep type (QEMU, hw/acpi/core.c). */
function systemStates({ s3, s4 }: SleepStates): Uint8Array {
  return Uint8Array.of(ENTERABLE, 0, 0, 1 | (s3 ? ENTERABLE : 0), 2 | (s4 ? ENTERABLE : 0), ENTERABLE);
}

function addSmbios(items: FwCfgItems, config: MachineConfig, memory: GuestMemory): void {
  const { anchor, tables } = smbios(smbiosFacts(config, memory));
  items.setFile(SMBIOS_FILES.anchor, anchor);
  items.setFile(SMBIOS_FILES.tables, tables);
}

function addBootItems(
  items: FwCfgItems,
  { firmware, order, once, menu, kernel, retryMs = NEVER_RETRIES }: FirmwareBoot,
  candidates: () => readonly BootCandidate[],
): void {
  items.set(KEY.bootMenu, u16(menu.show ? 1 : 0));
  if (menu.waitMs !== undefined) items.setFile('etc/boot-menu-wait', u16(menu.waitMs));
  items.setFile('etc/boot-fail-wait', u32(retryMs));
  const first = kernel !== undefined && firmware === 'bios' ? [LINUXBOOT.path] : [];
  items.setFile('bootorder', bootOrderFile(first, order, once, candidates));
}

/**
 * Lines with a NUL at the end. `once` no longer applies after a reset.
 * @param first paths that come before any device
 */
function bootOrderFile(
  first: readonly string[],
  order: FirmwareBoot['order'],
  once: FirmwareBoot['once'],
  candidates: () => readonly BootCandidate[],
): FwCfgContent {
  let current = once.length > 0 ? once : order;
  let bytes: Uint8Array | null = null;
  const now = () => {
    bytes ??= Buffer.from(`${[...first, ...bootOrder(candidates(), current)].join('\n')}\0`);
    return bytes;
  };
  return {
    get size() {
      return now().length;
    },
    read: (offset, target) => target.set(now().subarray(offset, offset + target.length)),
    reset: () => {
      current = order;
      bytes = null;
    },
  };
}

function e820({ regions }: GuestMemory): Uint8Array {
  const entry = (address: number, size: number, type: number) => concat(u64(address), u64(size), u32(type));
  return concat(
    entry(KVM_IDENTITY_MAP, KVM_PAGES_SIZE, E820.reserved),
    ...regions.map(({ address, size }) => entry(address, size, E820.ram)),
  );
}
