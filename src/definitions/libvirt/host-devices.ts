import type { XmlElement } from '@rgrove/parse-xml';
import { formatAddress } from '../../host/pci/address.ts';
import type { PassthroughInput } from '../fields/passthrough.ts';
import type { DomainDocument } from './document.ts';
import type { PciControllers } from './pci-controllers.ts';

/** <hostdev>. @throws LibvirtError */
export function readHostDevice(
  document: DomainDocument,
  element: XmlElement,
  controllers: PciControllers,
): PassthroughInput | null {
  const host = hostAddress(document, element);
  if (document.attribute(element, 'type') !== 'pci' || host === null) {
    document.leaveOut(element, 'only PCI devices can be passed through');
    return null;
  }
  document.skip(element, 'mode', 'managed');
  return { host, ...readCommon(document, element, controllers) };
}

/** <interface type='hostdev'>: a virtual function with a MAC address and a VLAN. @throws LibvirtError */
export function readHostInterface(
  document: DomainDocument,
  element: XmlElement,
  controllers: PciControllers,
): PassthroughInput | null {
  const host = hostAddress(document, element);
  if (host === null) {
    document.leaveOut(element, 'its source is not a PCI device');
    return null;
  }
  document.skip(element, 'type', 'managed');
  const profile = document.child(element, 'virtualport');
  if (profile !== null) {
    throw document.error(
      profile,
      `the port profile ${document.attribute(profile, 'type') ?? ''} of a switch (<virtualport>) is not supported, and without it the ` +
        'virtual function may have no link: remove it from the XML if the switch does not need it',
    );
  }
  const mac = document.attribute(document.child(element, 'mac'), 'address');
  const vlan = readVlan(document, element);
  const model = document.child(element, 'model');
  if (model !== null) document.leaveOut(model, 'the guest sees the model of the device itself');
  return {
    host,
    ...(mac !== null && { mac }),
    ...(vlan !== null && { vlan }),
    ...readCommon(document, element, controllers),
  };
}

/** <source><address>: numbers in hexadecimal or decimal. */
function hostAddress(document: DomainDocument, element: XmlElement): string | null {
  const source = document.child(element, 'source');
  const address = document.child(source, 'address');
  if (address === null || (address.attributes.type ?? 'pci') !== 'pci') return null;
  const part = (name: string) => {
    const text = document.attribute(address, name) ?? '0';
    if (!/^(0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text))
      throw document.error(address, `expected a number such as 0x1f in ${name}, not ${text}`);
    return Number(text);
  };
  document.skip(address, 'type');
  document.skip(source, 'writeFiltering');
  const [domain, bus, device, fn] = [part('domain'), part('bus'), part('slot'), part('function')];
  return formatAddress({ domain, bus, device, function: fn });
}

/** What both elements share: <driver>, <rom>, <boot>, <address>. @throws LibvirtError */
function readCommon(
  document: DomainDocument,
  element: XmlElement,
  controllers: PciControllers,
): Omit<PassthroughInput, 'host'> {
  const teaming = document.child(element, 'teaming');
  if (teaming !== null)
    document.leaveOut(
      teaming,
      'guests have no standby card to fail over to: a VM with such a device does not migrate',
    );
  document.skipAll(document.child(element, 'alias'));
  const order = document.attribute(document.child(element, 'boot'), 'order');
  return {
    ...readDriver(document, element),
    ...readRom(document, element),
    ...(order !== null && { bootindex: Number(order) }),
    ...controllers.placeOf(document.child(element, 'address')),
  };
}

function readDriver(document: DomainDocument, element: XmlElement): { iommufd?: boolean } {
  const driver = document.child(element, 'driver');
  if (driver === null) return {};
  const name = document.attribute(driver, 'name');
  const iommufd = document.attribute(driver, 'iommufd');
  if (name !== null && name !== 'vfio') document.leaveOut(driver, `vring uses VFIO, not ${name}`);
  return iommufd === null ? {} : { iommufd: iommufd === 'yes' };
}

/** `bar` hides the ROM, `file` replaces it; `enabled='no'` removes it. */
function readRom(
  document: DomainDocument,
  element: XmlElement,
): Pick<PassthroughInput, 'rombar' | 'romfile'> {
  const rom = document.child(element, 'rom');
  if (rom === null) return {};
  const file = document.attribute(rom, 'file');
  const isHidden = document.attribute(rom, 'bar') === 'off' || document.attribute(rom, 'enabled') === 'no';
  return { ...(isHidden && { rombar: false }), ...(file !== null && { romfile: file }) };
}

/** A virtual function has one VLAN. @throws LibvirtError */
function readVlan(document: DomainDocument, element: XmlElement): number | null {
  const vlan = document.child(element, 'vlan');
  if (vlan === null) return null;
  const tags = document.children(vlan, 'tag');
  if (document.attribute(vlan, 'trunk') === 'yes' || tags.length !== 1) {
    throw document.error(
      vlan,
      'a virtual function has one VLAN: for several, let the guest tag its frames, and remove <vlan>',
    );
  }
  const [tag] = tags;
  if (document.attribute(tag!, 'nativeMode') !== null)
    document.leaveOut(tag!, 'there is one VLAN, whose tags the device adds and removes');
  return Number(document.attribute(tag!, 'id'));
}
