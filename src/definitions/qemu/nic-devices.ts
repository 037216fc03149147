import { type Nic, nicFeatures } from '../fields/nics.ts';
import { NIC_PROPERTIES } from './device-properties.ts';
import { type KnownOption, rowEntry, takeBootIndex, takeSwitches } from './device-rows.ts';
import type { Draft } from './draft.ts';
import { hostFile } from './host-file.ts';
import type { Settings } from './settings.ts';

/** Where a card is on ISA, for which `nics` has no keys. */
const ISA_PROPERTIES = ['iobase', 'irq'];

/** A card without a network has no link. */
export function readNic(
  draft: Draft,
  settings: Settings,
  { place, driver, known, row, addr, id }: KnownOption,
): void {
  if (row?.bus === 'isa' && ISA_PROPERTIES.some(property => settings.peek(property) !== undefined)) {
    draft.addDevice(place, rowEntry(draft, settings, row, id));
    return;
  }
  const netdev = settings.take('netdev');
  const connection = netdev === undefined ? { network: 'none' as const } : draft.claimNetwork(netdev);
  const mac = settings.take('mac');
  const bootindex = takeBootIndex(settings);
  const vectors = settings.take('vectors');
  const mtu = settings.takeCount('host_mtu');
  const rom = takeRom(draft, settings);
  const virtio = takeSwitches(settings, row?.qemu?.properties ?? {}, nicFeatures);
  settings.leaveOut(NIC_PROPERTIES);
  if (/^e1000-8254[45]/.test(driver)) draft.leaveOut(place, 'every e1000 is an 82540EM', driver);
  draft.addNic(place, {
    model: known.value as Nic['model'],
    ...connection,
    ...addr,
    ...(mac !== undefined && { mac }),
    ...(vectors !== undefined && { vectors: Number(vectors) }),
    ...(mtu !== undefined && { mtu }),
    ...(bootindex !== undefined && { bootindex }),
    ...rom,
    ...(Object.keys(virtio).length > 0 && { virtio }),
  });
}

/** The ROM of a card. QEMU's own are iPXE's, which vring finds itself. @throws OptionError */
function takeRom(draft: Draft, settings: Settings): Pick<Nic, 'romfile' | 'rombar'> {
  const file = settings.peek('romfile');
  const isOwn = file !== undefined && /^(efi|pxe)-[\w-]+\.rom$/.test(file);
  if (!isOwn) settings.take('romfile');
  const bar = settings.peek('rombar');
  if (bar === '0' || bar === '1') settings.take('rombar');
  const shows = bar === '0' || bar === '1' ? bar === '1' : settings.takeSwitch('rombar');
  return {
    ...(file !== undefined && !isOwn && { romfile: file === '' ? '' : hostFile(file, draft.host) }),
    ...(shows === false && { rombar: false }),
  };
}
