import type { IoHandler } from '../../device.ts';
import { CONFIG_SIZE, EXTENDED_CONFIG_SIZE } from '../../pci/registers.ts';
import { REGION } from '../host-device.ts';
import type { PassedFunction } from '../passed-function.ts';
import { RegionAccess } from '../region-access.ts';
import { ConfigWindow } from './config-window.ts';
import { configMirror, isDisplay, type Quirk, type QuirkTarget, trapBar } from './quirk.ts';

const VENDOR = 0x10de;

/**
 * The mirror of the configuration space in the registers of BAR 0 (nouveau, nvkm/subdev/pci): PPCI since NV50, and PBUS
 * before.
 */
const PPCI = { base: 0x8_8000, size: EXTENDED_CONFIG_SIZE } as const;
const PBUS = { base: 0x1800, size: CONFIG_SIZE } as const;

/**
 * I/O ports of BAR 5, through which 16-bit code reaches BAR 0: two switches, which bit 0 turns on, an address and its
 * contents.
 */
const BAR5 = { index: 5, master: 0x0, enable: 0x4, address: 0x8, data: 0xc, on: 1 } as const;

/** The same through ports of the VGA adapter: a command, and its argument or result. */
const PORTS = { argument: { start: 0x3d0, size: 4 }, command: { start: 0x3d4, size: 2 } } as const;
const COMMAND = { select: 0x338, read: 0x538, write: 0x738 } as const;

const concerns: Quirk['concerns'] = device => device.vendor === VENDOR && isDisplay(device);

export const NVIDIA_QUIRKS: readonly Quirk[] = [
  {
    name: 'NVIDIA configuration space in BAR 0',
    why: 'drivers read BARs and interrupts there, which are those of the host; they acknowledge MSI by a write to it',
    source: 'QEMU hw/vfio/pci-quirks.c, nouveau nvkm/subdev/pci/nv40.c and nv46.c (pci_msi_rearm)',
    concerns,
    apply: target => {
      const { fn, vgaPorts } = target;
      trapBar(target, 0, { start: PPCI.base, size: PPCI.size, handler: acknowledging(target, PPCI.base) });
      // Only the code in the ROM of old cards uses it, and other registers in the same page are used often.
      if (vgaPorts !== null) {
        trapBar(target, 0, { start: PBUS.base, size: PBUS.size, handler: acknowledging(target, PBUS.base) });
        addBar5(target);
        addPorts(fn, target, vgaPorts);
      }
    },
  },
];

/**
 * The mirror with which the device is notified that an interrupt has been handled: by a byte write to the ID of the MSI
 * capability.
 */
function acknowledging({ fn, host, msi, onError }: QuirkTarget, base: number): IoHandler {
  const device = new RegionAccess(host.region(0), onError, base);
  return configMirror(fn, (offset, size, value) => {
    if (msi !== null && offset >= msi && offset + size <= msi + 2) device.write(offset, size, value);
  });
}

function addBar5(target: QuirkTarget): void {
  const { fn, host, bars, onError } = target;
  if (bars.get(BAR5.index)?.bar.kind !== 'io') return;
  const device = (at: number) => new RegionAccess(host.region(BAR5.index), onError, at);
  const on = new Set<number>();
  const window = new ConfigWindow(fn, [PBUS, PPCI], () => on.size === 2);
  const trap = (start: number, handler: IoHandler) =>
    trapBar(target, BAR5.index, { start, size: 4, handler });
  for (const register of [BAR5.master, BAR5.enable]) {
    const behind = device(register);
    trap(register, {
      read: (offset, size) => behind.read(offset, size),
      write: (offset, size, value) => {
        if (offset === 0 && (value & BAR5.on) !== 0) on.add(register);
        else if (offset === 0) on.delete(register);
        behind.write(offset, size, value);
      },
    });
  }
  trap(BAR5.address, window.address(device(BAR5.address)));
  trap(BAR5.data, window.data(device(BAR5.data)));
}

/** `select`, an address, `read` or `write`, and then the contents; anything else in between starts over. */
function addPorts(
  fn: PassedFunction,
  { host, onError }: QuirkTarget,
  ports: NonNullable<QuirkTarget['vgaPorts']>,
): void {
  const vga = host.region(REGION.vga);
  const command = new RegionAccess(vga, onError, PORTS.command.start);
  const argument = new RegionAccess(vga, onError, PORTS.argument.start);
  let step: 'none' | 'select' | 'selected' | 'read' | 'write' = 'none';
  let address = 0;
  /** @returns the previous step */
  const proceed = (to: typeof step = 'none') => {
    const before = step;
    step = to;
    return before;
  };
  const at = () => (address >= PBUS.base && address < PBUS.base + PBUS.size ? address - PBUS.base : null);
  const atCommand: IoHandler = {
    read: (offset, size) => {
      proceed();
      return command.read(offset, size);
    },
    write: (offset, size, value) => {
      const before = proceed();
      if (value === COMMAND.select && before === 'none') step = 'select';
      else if (value === COMMAND.read && before === 'selected') step = 'read';
      else if (value === COMMAND.write && before === 'selected') step = 'write';
      command.write(offset, size, value);
    },
  };
  const atArgument: IoHandler = {
    read: (offset, size) => {
      const value = argument.read(offset, size);
      const selected = at();
      return proceed() === 'read' && selected !== null ? fn.readConfig(selected + offset, size) : value;
    },
    write: (offset, size, value) => {
      const before = proceed();
      const selected = at();
      if (before === 'write' && selected !== null) {
        fn.writeConfig(selected + offset, size, value);
        return;
      }
      if (before === 'select' && offset === 0) {
        address = value;
        step = 'selected';
      }
      argument.write(offset, size, value);
    },
  };
  ports.push({ ...PORTS.command, handler: atCommand }, { ...PORTS.argument, handler: atArgument });
}
