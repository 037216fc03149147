import type { XmlElement } from '@rgrove/parse-xml';
import { sizeText } from '../../text/size.ts';
import type { NicNetworkInput } from '../fields/networks.ts';
import type { NicInput } from '../fields/nics.ts';
import { libvirtDevice } from '../known-devices.ts';
import type { DomainDocument } from './document.ts';

/** An <interface>; null if it is left out. @throws LibvirtError */
export function readInterface(document: DomainDocument, element: XmlElement): NicInput | null {
  const leaveOut = (reason: string) => {
    document.leaveOut(element, reason);
    return null;
  };
  const network = readNetwork(document, element);
  if (network === null) return leaveOut(`vring has no ${element.attributes.type} networks`);
  // libvirt's default model.
  const name = document.attribute(document.child(element, 'model'), 'type') ?? 'rtl8139';
  const model = libvirtDevice('interface', name)?.definition.value as NicInput['model'];
  if (model === undefined) return leaveOut(`vring has no network card ${name}`);
  const mac = document.attribute(document.child(element, 'mac'), 'address');
  for (const skipped of ['address', 'alias']) document.skipAll(document.child(element, skipped));
  const order = document.attribute(document.child(element, 'boot'), 'order');
  const mtu = document.attribute(document.child(element, 'mtu'), 'size');
  const link = document.attribute(document.child(element, 'link'), 'state');
  return {
    model,
    network,
    ...(mac !== null && { mac }),
    ...(mtu !== null && { mtu: Number(mtu) }),
    ...(link === 'down' && { link }),
    ...(order !== null && { bootindex: Number(order) }),
    ...readRom(document, element),
    ...readDriver(document, element),
    ...readBandwidth(document, element),
  };
}

/** `bar` hides the ROM, `file` replaces it; `enabled='no'` removes it. */
function readRom(document: DomainDocument, element: XmlElement): Pick<NicInput, 'romfile' | 'rombar'> {
  const rom = document.child(element, 'rom');
  const file = document.attribute(rom, 'enabled') === 'no' ? '' : document.attribute(rom, 'file');
  return {
    ...(document.attribute(rom, 'bar') === 'off' && { rombar: false }),
    ...(file !== null && { romfile: file }),
  };
}

function readNetwork(document: DomainDocument, element: XmlElement): NicNetworkInput | null {
  const source = document.child(element, 'source');
  const target = document.child(element, 'target');
  const attribute = (name: string) => document.attribute(source, name);
  const type = document.attribute(element, 'type');
  // libvirt chooses the name, except for type ethernet, which may be an existing interface.
  if (type !== 'ethernet') document.skip(target, 'dev');
  switch (type) {
    case 'user':
      return readUserNetwork(document, element);
    case 'network': {
      const name = attribute('network') ?? '';
      document.leaveOut(
        source!,
        `the card is connected to vring's own network "${name}", which vring net create makes: networks of libvirt are not used`,
      );
      return { type, name };
    }
    case 'bridge':
      return { type, bridge: attribute('bridge') ?? '' };
    case 'direct': {
      const mode = attribute('mode');
      const known = MACVTAP_MODES.find(each => each === (mode === 'passthrough' ? 'passthru' : mode));
      return {
        type: 'macvtap',
        interface: attribute('dev') ?? '',
        // libvirt's default.
        mode: mode === null ? 'vepa' : (known ?? 'bridge'),
      };
    }
    case 'ethernet':
      return readTap(document, element, target);
    case 'null':
      return 'none';
    default:
      return null;
  }
}

const MACVTAP_MODES = ['bridge', 'vepa', 'private', 'passthru'] as const;

function readTap(document: DomainDocument, element: XmlElement, target: XmlElement | null): NicNetworkInput {
  document.skip(target, 'managed');
  const name = document.attribute(target, 'dev');
  const script = document.attribute(document.child(element, 'script'), 'path');
  const downscript = document.attribute(document.child(element, 'downscript'), 'path');
  return {
    type: 'tap',
    ...(name !== null && { interface: name }),
    ...(script && { script }),
    ...(downscript && { downscript }),
  };
}

/** Without a backend, it is QEMU's own user network; with passt, it has the host's addresses. */
function readUserNetwork(document: DomainDocument, element: XmlElement): NicNetworkInput {
  const backend = document.child(element, 'backend');
  const ipv4 = document.children(element, 'ip').find(({ attributes }) => attributes.family !== 'ipv6');
  const address = document.attribute(ipv4 ?? null, 'address');
  const prefix = document.attribute(ipv4 ?? null, 'prefix');
  document.skip(ipv4 ?? null, 'family');
  if (document.attribute(backend, 'type') !== 'passt')
    return address === null ? 'user' : { type: 'user', net: `${address}/${prefix ?? 24}` };
  document.skip(backend, 'logFile');
  const name = document.attribute(document.child(element, 'source'), 'dev');
  return {
    type: 'passt',
    ...(name !== null && { interface: name }),
    ...(address !== null && { address }),
    ...readPortForwards(document, element),
  };
}

/** Longer ranges are not forwarded port by port in a definition. */
const MOST_PORTS = 64;

function readPortForwards(document: DomainDocument, element: XmlElement) {
  const forward = document.children(element, 'portForward').flatMap(each => {
    const protocol = document.attribute(each, 'proto') === 'udp' ? ('udp' as const) : ('tcp' as const);
    const address = document.attribute(each, 'address') ?? '0.0.0.0';
    return document.children(each, 'range').flatMap(range => {
      const start = Number(document.attribute(range, 'start'));
      const end = Number(document.attribute(range, 'end') ?? start);
      const to = Number(document.attribute(range, 'to') ?? start);
      if (document.attribute(range, 'exclude') === 'yes' || end < start) return [];
      if (end - start >= MOST_PORTS) {
        document.leaveOut(range, `at most ${MOST_PORTS} ports are forwarded`);
        return [];
      }
      return Array.from({ length: end - start + 1 }, (_, index) => ({
        protocol,
        address,
        host: start + index,
        guest: to + index,
      }));
    });
  });
  return forward.length === 0 ? {} : { forward };
}

/** <driver>: how packets are transferred, and the features of the device. */
function readDriver(
  document: DomainDocument,
  element: XmlElement,
): Pick<NicInput, 'queues' | 'vhost' | 'virtio'> {
  const driver = document.child(element, 'driver');
  if (driver === null) return {};
  document.skip(
    driver,
    'rx_queue_size',
    'tx_queue_size',
    'txmode',
    'ioeventfd',
    'page_per_vq',
    'ats',
    'rss_hash_report',
  );
  const name = document.attribute(driver, 'name');
  const queues = Number(document.attribute(driver, 'queues') ?? 1);
  const virtio = {
    ...switches(document, driver, {
      event_idx: 'event-idx',
      packed: 'packed',
      iommu: 'iommu-platform',
      rss: 'rss',
    }),
    ...switches(document, document.child(driver, 'host'), {
      ...ofDirection('host', ['tso4', 'tso6', 'ecn', 'ufo']),
      csum: 'csum',
      gso: 'gso',
      mrg_rxbuf: 'mrg-rxbuf',
    }),
    ...switches(
      document,
      document.child(driver, 'guest'),
      ofDirection('guest', ['csum', 'tso4', 'tso6', 'ecn', 'ufo']),
    ),
  };
  return {
    ...(queues > 1 && { queues }),
    ...(name !== null && { vhost: name !== 'qemu' }),
    ...(Object.keys(virtio).length > 0 && { virtio }),
  };
}

/** `{ tso4: 'host-tso4' }` */
function ofDirection(direction: 'host' | 'guest', names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, `${direction}-${name}`]));
}

/** Attributes that are on or off, by the keys that they become. */
function switches(
  document: DomainDocument,
  element: XmlElement | null,
  keys: Readonly<Record<string, string>>,
): NonNullable<NicInput['virtio']> {
  const given = Object.entries(keys).flatMap(([name, key]) => {
    const value = document.attribute(element, name);
    return value === null ? [] : [[key, value === 'on']];
  });
  return Object.fromEntries(given);
}

/**
 * <bandwidth>: rates in kB, bursts in KiB, from the guest's point of view. Higher rates during a burst are left out.
 */
function readBandwidth(document: DomainDocument, element: XmlElement): Pick<NicInput, 'limits'> {
  const bandwidth = document.child(element, 'bandwidth');
  const receive = rateOf(document, document.child(bandwidth, 'inbound'));
  const transmit = rateOf(document, document.child(bandwidth, 'outbound'));
  if (receive === null && transmit === null) return {};
  document.skip(bandwidth);
  return { limits: { ...(receive && { receive }), ...(transmit && { transmit }) } };
}

function rateOf(document: DomainDocument, element: XmlElement | null) {
  const average = Number(document.attribute(element, 'average') ?? 0);
  if (!(average > 0)) return null;
  const bps = average * 1000;
  const burst = Number(element!.attributes.burst ?? 0) * 1024;
  if (burst < bps) return { bps: sizeText(bps) };
  document.skip(element, 'burst');
  return { bps: sizeText(bps), 'bps-burst': sizeText(burst) };
}
