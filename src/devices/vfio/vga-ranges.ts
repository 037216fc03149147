import type { IoHandler } from '../device.ts';
import type { MemoryRange, PortRange } from '../device-type.ts';
import { COMMAND, REG } from '../pci/registers.ts';
import { type HostDevice, REGION } from './host-device.ts';
import type { PassedFunction } from './passed-function.ts';
import { RegionAccess } from './region-access.ts';
import { type Trap, TrappedAccess } from './traps.ts';

/**
 * The legacy addresses of a VGA adapter, which are also their offsets in its region (linux/vfio.h,
 * VFIO_PCI_VGA_REGION_INDEX).
 */
const MEMORY = { start: 0xa_0000, size: 0x2_0000 } as const;
const PORTS = [
  { start: 0x3b0, size: 0xc },
  { start: 0x3c0, size: 0x20 },
] as const;

/**
 * The ranges in which a graphics card responds as its machine's VGA adapter, while it decodes memory or ports.
 * @param traps ports that a model handles in its place
 */
export function vgaRanges(
  fn: PassedFunction,
  device: HostDevice,
  traps: readonly Trap[],
  onError: (error: Error) => void,
): { readonly memory: MemoryRange[]; readonly ports: PortRange[] } {
  const region = device.region(REGION.vga);
  if (region.size === 0) {
    throw new Error(
      `${device.address} has no VGA registers that the host passes on (VFIO_PCI_VGA_REGION_INDEX): leave out x-vga`,
    );
  }
  const range = ({ start, size }: { start: number; size: number }, bit: number, within: readonly Trap[]) => ({
    start,
    size,
    handler: whileDecoding(fn, bit, new TrappedAccess(new RegionAccess(region, onError, start), within)),
  });
  return {
    memory: [range(MEMORY, COMMAND.memory, [])],
    ports: PORTS.map(ports => range(ports, COMMAND.io, from(ports.start, traps))),
  };
}

/** Traps by their offset from a port; those before it are never hit. */
function from(port: number, traps: readonly Trap[]): Trap[] {
  return traps.map(trap => ({ ...trap, start: trap.start - port }));
}

function whileDecoding(fn: PassedFunction, bit: number, handler: IoHandler): IoHandler {
  const decodes = () => fn.bus !== null && fn.power.awake && (fn.config.u16(REG.command) & bit) !== 0;
  return {
    read: (offset, size) => (decodes() ? handler.read(offset, size) : 0xffff_ffff),
    write: (offset, size, value) => {
      if (decodes()) handler.write(offset, size, value);
    },
  };
}
