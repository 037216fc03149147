import type { XmlElement } from '@rgrove/parse-xml';
import type { CharInput } from '../../devices/backends/char-fields.ts';
import { virtConsole } from '../../devices/virtio/serial/rows.ts';
import { own } from '../../text/own.ts';
import type { BalloonInput } from '../fields/balloon.ts';
import { AGENT_PORT, type ChannelInput } from '../fields/char.ts';
import { USB_INPUTS } from '../fields/inputs.ts';
import type { PassthroughInput } from '../fields/passthrough.ts';
import { libvirtDevice } from '../known-devices.ts';
import { MAX_PARALLEL_PORTS } from '../parallel-ports.ts';
import { IN_FILE } from '../qemu/chardevs.ts';
import { LAYOUTS } from '../qemu/vnc.ts';
import type { DefinitionInput } from '../schema.ts';
import { MAX_PORTS, TOO_MANY_PORTS } from '../serial-ports.ts';
import { readDisk } from './disks.ts';
import type { DomainDocument } from './document.ts';
import { readGuards } from './guards.ts';
import { readHostDevice, readHostInterface } from './host-devices.ts';
import { readInterface } from './interfaces.ts';
import { readTarget } from './machine.ts';
import { readNvmeControllers } from './nvme-controllers.ts';
import { PciControllers } from './pci-controllers.ts';
import { readScsiControllers } from './scsi-controllers.ts';
import { readTpm } from './tpm.ts';
import { readInputs, readUsbControllers } from './usb.ts';

/** libvirt's own data, and controllers that vring creates as needed. */
const IMPLIED_CONTROLLERS = ['pci', 'ide', 'sata'];

/** <devices>. */
export function readDevices(document: DomainDocument, domain: XmlElement): Partial<DefinitionInput> {
  const devices = document.child(domain, 'devices');
  document.skip(devices);
  document.skipAll(document.child(devices, 'emulator'));
  for (const controller of document.children(devices, 'controller')) {
    if (IMPLIED_CONTROLLERS.includes(controller.attributes.type ?? '')) document.skipAll(controller);
  }
  const each = <Entry>(name: string, read: (element: XmlElement) => Entry | null): Entry[] =>
    document
      .children(devices, name)
      .map(read)
      .filter(entry => entry !== null);
  const read = each('disk', element => {
    const disk = readDisk(document, element);
    return disk && { element, disk };
  });
  const onNvme = read.filter(({ disk }) => disk.bus === 'nvme');
  const nvme = readNvmeControllers(document, devices, onNvme);
  const disks = read.flatMap(({ element, disk }) =>
    disk.bus === 'nvme' ? (nvme.disks.get(element) ?? []) : disk,
  );
  const controllers = new PciControllers(document, devices);
  const passthrough = readPassthrough(document, devices, controllers);
  const nics = each('interface', element =>
    element.attributes.type === 'hostdev' ? null : readInterface(document, element),
  );
  const [rng = false] = each('rng', element => readRng(document, element));
  const serial = readSerialPorts(document, devices);
  const consoles = readConsoles(document, devices);
  const inputs = readInputs(document, devices);
  const hasUsb = USB_INPUTS.some(input => inputs.includes(input)) || disks.some(({ bus }) => bus === 'usb');
  return {
    disks,
    nics,
    passthrough,
    rng,
    balloon: readBalloon(document, domain, devices),
    ...readDisplay(document, devices),
    ...readTpm(document, devices),
    ...readGraphics(document, devices),
    console: consoles.console,
    ...(serial !== undefined && { serial }),
    ...readParallelPorts(document, devices),
    ...readChannels(document, devices),
    ...(inputs.length > 0 && { inputs }),
    devices: [
      ...controllers.devices(),
      ...readScsiControllers(document, devices),
      ...nvme.devices,
      ...readUsbControllers(document, devices, hasUsb),
      ...readGuards(document, devices),
      ...consoles.others,
    ],
  };
}

/** Passed-through devices, in the order of the file. */
function readPassthrough(
  document: DomainDocument,
  devices: XmlElement | null,
  controllers: PciControllers,
): PassthroughInput[] {
  const elements = [...document.children(devices, 'hostdev'), ...document.children(devices, 'interface')];
  return elements
    .sort((a, b) => a.start - b.start)
    .flatMap(element => {
      if (element.name === 'hostdev') return readHostDevice(document, element, controllers) ?? [];
      if (element.attributes.type !== 'hostdev') return [];
      return readHostInterface(document, element, controllers) ?? [];
    });
}

/** Null if it is left out. */
function readRng(document: DomainDocument, element: XmlElement): DefinitionInput['rng'] | null {
  const backend = document.child(element, 'backend');
  const model = document.attribute(backend, 'model');
  const file = document.text(backend);
  const isHosts =
    model === 'builtin' || (model === 'random' && /^\/dev\/u?random$/.test(file ?? '/dev/random'));
  if (!isHosts) {
    document.leaveOut(element, "random bytes are the host's");
    return null;
  }
  const device = document.attribute(element, 'model') ?? 'virtio';
  if (libvirtDevice('rng', device) === undefined) {
    document.leaveOut(element, `vring has no random number device ${device}`);
    return false;
  }
  for (const skipped of ['address', 'alias']) document.skipAll(document.child(element, skipped));
  const rate = document.child(element, 'rate');
  const bytes = Number(document.attribute(rate, 'bytes') ?? 0);
  // libvirt's default is a second, QEMU's is not.
  const period = Number(document.attribute(rate, 'period') ?? 1000);
  return bytes > 0 && period > 0 ? { 'max-bytes': bytes, period } : true;
}

function readBalloon(document: DomainDocument, domain: XmlElement, devices: XmlElement | null): BalloonInput {
  const element = document.child(devices, 'memballoon');
  for (const skipped of ['address', 'alias', 'driver']) document.skipAll(document.child(element, skipped));
  const model = document.attribute(element, 'model') ?? 'none';
  const onOom = document.attribute(element, 'autodeflate');
  const reporting = document.attribute(element, 'freePageReporting');
  // libvirt asks for statistics only if a period is set.
  const period = Number(document.attribute(document.child(element, 'stats'), 'period') ?? 0);
  const hasBalloon = libvirtDevice('memballoon', model) !== undefined;
  const target = readTarget(document, domain, hasBalloon);
  if (!hasBalloon) return false;
  const settings = {
    ...(target !== null && { target }),
    ...(period > 0 && { stats: period }),
    ...(onOom !== null && { 'deflate-on-oom': onOom === 'on' }),
    ...(reporting === 'on' && { 'free-page-reporting': true }),
  };
  return Object.keys(settings).length > 0 ? settings : true;
}

/** The first <video>; guests have one screen. */
function readDisplay(document: DomainDocument, devices: XmlElement | null): Pick<DefinitionInput, 'display'> {
  const [first, ...others] = document.children(devices, 'video');
  for (const element of others) document.leaveOut(element, 'a guest has one screen');
  if (first === undefined) return {};
  const model = document.child(first, 'model');
  const type = model?.attributes.type ?? 'vga';
  const row = libvirtDevice('video', type);
  if (type === 'none' || row !== undefined) document.skipAll(first);
  else document.leaveOut(first, `it is a standard VGA instead: vring has no ${type} adapter`);
  const acceleration = document.child(model, 'acceleration');
  if (acceleration?.attributes.accel3d === 'yes') document.leaveOut(acceleration, 'there is no 3D');
  if (type === 'none') return { display: 'none' };
  return { display: (row?.definition?.value ?? 'vga') as NonNullable<DefinitionInput['display']> };
}

/** The first <graphics> of VNC or SPICE. */
function readGraphics(
  document: DomainDocument,
  devices: XmlElement | null,
): Pick<DefinitionInput, 'graphics'> {
  let graphics: DefinitionInput['graphics'];
  for (const element of document.children(devices, 'graphics')) {
    const { type, port, autoport, socket } = element.attributes;
    if (graphics !== undefined || (type !== 'vnc' && type !== 'spice')) {
      document.leaveOut(
        element,
        graphics === undefined ? `vring has no ${type} server` : 'a VM has one VNC server',
      );
      continue;
    }
    document.skipAll(element);
    const at = document.child(element, 'listen');
    const path = socket ?? (at?.attributes.type === 'socket' ? at.attributes.socket : undefined);
    const host = at?.attributes.address ?? element.attributes.listen ?? '127.0.0.1';
    const isLocal = host === 'localhost' || host === '::1' || host.startsWith('127.');
    if (type === 'spice') document.leaveOut(element, 'it is a VNC server instead');
    else if (path === undefined && !isLocal)
      document.leaveOut(
        element,
        `it listens at 127.0.0.1 instead of ${host}: beyond the host, VNC needs a password and TLS`,
      );
    else if (element.attributes.passwd !== undefined)
      document.leaveOut(element, 'a password is that of graphics.password-file');
    const layout = own(LAYOUTS, element.attributes.keymap ?? '');
    const isFixed = type === 'vnc' && autoport !== 'yes' && port !== undefined && Number(port) > 0;
    graphics = {
      type: 'vnc',
      listen: path !== undefined ? `unix:${path}` : isFixed ? `127.0.0.1::${Number(port)}` : 'auto',
      ...(layout !== undefined && { layout }),
    };
  }
  return graphics === undefined ? {} : { graphics };
}

/** What COM1 to COM4 are connected to. */
function readSerialPorts(document: DomainDocument, devices: XmlElement | null): CharInput[] | undefined {
  const ports = document.children(devices, 'serial').flatMap((element, index): CharInput[] => {
    if (index < MAX_PORTS) return [readEnd(document, element)];
    document.leaveOut(element, TOO_MANY_PORTS);
    return [];
  });
  const isPlain = ports.length === 0 || (ports.length === 1 && ports[0] === 'console');
  return isPlain ? undefined : ports;
}

/** What LPT1 and LPT2 are connected to. */
function readParallelPorts(
  document: DomainDocument,
  devices: XmlElement | null,
): { readonly parallel?: CharInput[] } {
  const ports = document.children(devices, 'parallel').flatMap((element, index): CharInput[] => {
    if (index < MAX_PARALLEL_PORTS) return [readEnd(document, element)];
    document.leaveOut(element, 'a guest has at most LPT1 and LPT2');
    return [];
  });
  return ports.length === 0 ? {} : { parallel: ports };
}

/**
 * What a <serial>, <parallel> or <channel> is connected to. A <pty> is a console: vring has its own way to show one.
 */
function readEnd(document: DomainDocument, element: XmlElement): CharInput {
  const source = document.child(element, 'source');
  const log = document.attribute(document.child(element, 'log'), 'file');
  const logged = log === null ? {} : { logfile: log };
  for (const skipped of ['address', 'alias', 'target', 'protocol']) {
    const child = document.child(element, skipped);
    document.skipAll(child);
  }
  const isServer = document.attribute(source, 'mode') !== 'connect';
  switch (document.attribute(element, 'type')) {
    case 'unix':
      return { type: 'unix', path: document.attribute(source, 'path') ?? '', server: isServer, ...logged };
    case 'tcp': {
      const host = document.attribute(source, 'host') ?? '127.0.0.1';
      const port = Number(document.attribute(source, 'service'));
      return {
        type: 'tcp',
        host: host === '0.0.0.0' ? '127.0.0.1' : host,
        port,
        server: isServer,
        ...logged,
      };
    }
    case 'file':
      if (log !== null) document.leaveOut(document.child(element, 'log')!, IN_FILE);
      return {
        type: 'file',
        path: document.attribute(source, 'path') ?? '',
        append: document.attribute(source, 'append') === 'on',
      };
    case 'null':
      return log === null ? 'null' : { type: 'null', ...logged };
    case 'pty':
    case 'stdio':
    case null:
      document.skipAll(source);
      return log === null ? 'console' : { type: 'console', ...logged };
    default:
      document.leaveOut(element, 'it is a console instead: vring has nothing like it to connect it to');
      return 'console';
  }
}

/** Named ports. vring itself uses that of the guest agent. */
function readChannels(
  document: DomainDocument,
  devices: XmlElement | null,
): Pick<DefinitionInput, 'channels' | 'agent'> {
  const channels: ChannelInput[] = [];
  let agent = false;
  for (const element of document.children(devices, 'channel')) {
    const target = document.child(element, 'target');
    const name = target?.attributes.name;
    const kind = element.attributes.type ?? '';
    if (target?.attributes.type !== 'virtio' || name === undefined) {
      document.leaveOut(element, 'only virtio channels with a name are supported');
    } else if (name === AGENT_PORT) {
      document.skipAll(element);
      agent = true;
    } else if (['unix', 'tcp', 'file', 'pty'].includes(kind)) {
      const end = readEnd(document, element);
      channels.push({ name, chardev: kind === 'pty' && end === 'console' ? 'pty' : end });
    } else document.leaveOut(element, `vring has no ${kind} to connect it to`);
  }
  return { ...(channels.length > 0 && { channels }), ...(agent && { agent }) };
}

type Consoles = {
  readonly console: 'serial' | 'virtio';
  readonly others: NonNullable<DefinitionInput['devices']>;
};

/**
 * The first serial port is COM1, which every VM has; what it is connected to does not concern the definition. Its
 * <console> is the same port. Virtio consoles next to the one that is shown are devices.
 */
function readConsoles(document: DomainDocument, devices: XmlElement | null): Consoles {
  const [first] = document.children(devices, 'serial');
  const consoles = document.children(devices, 'console');
  const targetOf = (element: XmlElement) => document.child(element, 'target')?.attributes.type ?? 'serial';
  const isSerial = first !== undefined || consoles.some(element => targetOf(element) === 'serial');
  const wanted = isSerial ? 'serial' : 'virtio';
  const shown = consoles.find(element => targetOf(element) === wanted);
  if (shown !== undefined) document.skipAll(shown);
  const others: Consoles['others'] = [];
  for (const element of consoles) {
    if (element === shown) continue;
    const target = targetOf(element);
    if (target === 'virtio') {
      others.push({ type: virtConsole.type, chardev: readEnd(document, element) });
    } else if (target === 'serial') document.leaveOut(element, 'it is the console already, which is COM1');
    else document.leaveOut(element, `vring has no ${target} consoles`);
  }
  return { console: shown !== undefined && !isSerial ? 'virtio' : 'serial', others };
}
