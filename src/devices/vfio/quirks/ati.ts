import { CONFIG_SIZE, EXTENDED_CONFIG_SIZE, REG } from '../../pci/registers.ts';
import { REGION } from '../host-device.ts';
import { RegionAccess } from '../region-access.ts';
import { ConfigWindow } from './config-window.ts';
import { configMirror, isDisplay, type Quirk, type QuirkTarget, trapBar } from './quirk.ts';

/** ATI, today AMD. */
const VENDOR = 0x1002;

/** The offset of the configuration space's mirror in the registers. */
const MIRROR = 0x4000;
/** Cards whose BAR 2 has 64 bits have the registers there. */
const BAR2 = 2;
/** I/O ports of BAR 4, through which 16-bit code reaches the registers: MM_INDEX and MM_DATA (Linux, radeon_reg.h). */
const BAR4 = { index: 4, address: 0x0, data: 0x4 } as const;
/** The port of the VGA adapter where that code finds the address of BAR 4: bits 8 to 15. */
const BAR4_PORT = 0x3c3;

const WHY = 'the code in its ROM finds BARs there, which are those of the host';
const SOURCE = 'QEMU hw/vfio/pci-quirks.c, Linux drivers/gpu/drm/radeon/radeon_reg.h';

const concerns: Quirk['concerns'] = device => device.vendor === VENDOR && isDisplay(device);

/** All of them matter only to the code in the ROM, and hence with x-vga. */
export const ATI_QUIRKS: readonly Quirk[] = [
  {
    name: 'ATI configuration space in BAR 2',
    why: WHY,
    source: SOURCE,
    concerns,
    apply: target => {
      const { fn, bars, vgaPorts } = target;
      if (vgaPorts === null || bars.get(BAR2)?.bar.kind !== 'memory64') return;
      trapBar(target, BAR2, { start: MIRROR, size: CONFIG_SIZE, handler: configMirror(fn) });
    },
  },
  {
    name: 'ATI configuration space by ports of BAR 4',
    why: WHY,
    source: SOURCE,
    concerns,
    apply: target => {
      const { vgaPorts, bars } = target;
      if (vgaPorts !== null && bars.get(BAR4.index)?.bar.kind === 'io') addPorts(target, vgaPorts);
    },
  },
];

function addPorts(target: QuirkTarget, ports: NonNullable<QuirkTarget['vgaPorts']>): void {
  const { fn, host, onError } = target;
  const device = (at: number) => new RegionAccess(host.region(BAR4.index), onError, at);
  const window = new ConfigWindow(fn, [{ base: MIRROR, size: EXTENDED_CONFIG_SIZE }]);
  const { index, address, data } = BAR4;
  trapBar(target, index, { start: address, size: 4, handler: window.address(device(address)) });
  trapBar(target, index, { start: data, size: 4, handler: window.data(device(data)) });
  const port = new RegionAccess(host.region(REGION.vga), onError, BAR4_PORT);
  const handler = {
    read: () => fn.readConfig(REG.bar0 + 4 * index + 1, 1),
    write: port.write.bind(port),
  };
  ports.push({ start: BAR4_PORT, size: 1, handler });
}
