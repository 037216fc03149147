import type { CharOptions } from '../devices/backends/char.ts';
import type { CharInput } from '../devices/backends/char-fields.ts';
import { defaultErrorPolicy } from '../devices/backends/disk.ts';
import { sizeText } from '../text/size.ts';
import type { Cpus } from './fields/cpus.ts';
import type { Disk } from './fields/disks.ts';
import type { Memory } from './fields/memory.ts';
import type { NicForward, NicNetwork, NicNetworkInput } from './fields/networks.ts';
import type { Nic } from './fields/nics.ts';
import type { Numa } from './fields/numa.ts';
import { given, orNothing } from './given.ts';
import type { Definition, DefinitionInput } from './schema.ts';

/** A definition in its shortest form: without defaults, and with short forms where there are any. */
export function plainDefinition(definition: Definition): DefinitionInput {
  const { name, description, memory, cpus, machine, disks, nics, passthrough, devices, boot } = definition;
  return given<DefinitionInput>({
    name,
    description,
    memory: plainMemory(memory),
    cpus: plainCpus(cpus),
    numa: orNothing(definition.numa.map(plainNode)),
    machine: orNothing(given(machine)),
    disks: orNothing(disks.map(plainDisk)),
    nics: orNothing(nics.map(plainNic)),
    console: definition.console === 'serial' ? undefined : definition.console,
    serial: orNothing(definition.serial.map(plainEnd)),
    parallel: orNothing(definition.parallel.map(plainEnd)),
    channels: orNothing(
      definition.channels.map(({ name, chardev }) => ({ name, chardev: plainEnd(chardev) })),
    ),
    agent: definition.agent || undefined,
    rng: definition.rng === true ? undefined : definition.rng,
    balloon: plainBalloon(definition.balloon),
    display: definition.display,
    inputs: orNothing(definition.inputs),
    tpm: definition.tpm,
    graphics: definition.graphics,
    passthrough: orNothing(passthrough.map(device => given(device))),
    devices: orNothing(devices),
    deviceModules: orNothing(definition.deviceModules),
    boot: boot && orNothing(given(boot)),
    autostart: definition.autostart || undefined,
    'on-crash': definition['on-crash'] === 'keep' ? undefined : definition['on-crash'],
    'on-reboot': definition['on-reboot'] === 'restart' ? undefined : definition['on-reboot'],
    confine: definition.confine === 'default' ? undefined : definition.confine,
  });
}

function plainBalloon(balloon: Definition['balloon']): DefinitionInput['balloon'] {
  if (typeof balloon === 'boolean') return balloon || undefined;
  const { target, ...more } = balloon;
  return orNothing(given({ target: target && sizeText(target), ...more })) ?? true;
}

/** What a port is connected to: just its type, if there is nothing else to say. */
function plainEnd(end: CharOptions): CharInput {
  const { type, ...more } = end;
  const settings = given<Record<string, unknown>>({
    ...more,
    server: 'server' in end && end.server ? undefined : more['server' as never],
    anywhere: 'anywhere' in end && end.anywhere ? true : undefined,
    append: 'append' in end && end.append ? undefined : more['append' as never],
  });
  return Object.keys(settings).length === 0 ? type : { type, ...settings };
}

function plainMemory({ size, hugepages, mergeable }: Memory): DefinitionInput['memory'] {
  const more = given({ hugepages, mergeable: mergeable || undefined });
  return orNothing(more) ? { size: sizeText(size), ...more } : sizeText(size);
}

function plainNode(
  { cpus, memory, distances }: Numa[number],
  index: number,
): NonNullable<DefinitionInput['numa']>[number] {
  const standard = distances.every((distance, other) => distance === (other === index ? 10 : 20));
  return given({ cpus, memory: sizeText(memory), distances: standard ? undefined : distances });
}

function plainCpus({
  count,
  maxcpus,
  topology,
  pinning,
  features,
  model,
  enforce,
  'hide-hypervisor': hidden,
}: Cpus): DefinitionInput['cpus'] {
  const more = given({
    maxcpus,
    topology,
    pinning,
    model,
    features: orNothing(features),
    enforce: enforce || undefined,
    'hide-hypervisor': hidden || undefined,
  });
  return orNothing(more) ? { count, ...more } : count;
}

function plainDisk(disk: Disk): NonNullable<DefinitionInput['disks']>[number] {
  const {
    file,
    bus,
    addr,
    format,
    label,
    cdrom,
    readonly,
    transient,
    cache,
    discard,
    'detect-zeroes': detectZeroes,
    rerror,
    werror,
    serial,
    bootindex,
    queues,
    limits,
    virtio,
  } = disk;
  return given({
    file,
    bus: bus === (cdrom ? 'scsi' : 'virtio') ? undefined : bus,
    addr,
    format,
    label,
    cdrom: cdrom || undefined,
    readonly: (readonly && !cdrom) || undefined,
    transient: transient || undefined,
    cache: cache === 'writeback' ? undefined : cache,
    discard: discard === 'unmap' ? undefined : discard,
    'detect-zeroes': detectZeroes === 'off' ? undefined : detectZeroes,
    rerror: rerror === defaultErrorPolicy.rerror ? undefined : rerror,
    werror: werror === defaultErrorPolicy.werror ? undefined : werror,
    serial,
    bootindex,
    queues: queues > 1 ? queues : undefined,
    limits: limits && orNothing(plainLimits(limits)),
    virtio: virtio && orNothing(given(virtio)),
  });
}

/** The limits of a disk in the form of a definition. */
export function plainLimits(limits: NonNullable<Disk['limits']>) {
  const { iops, bps, 'iops-burst': iopsBurst, 'bps-burst': bpsBurst } = limits;
  return given({
    iops,
    'iops-burst': iopsBurst,
    bps: bps && sizeText(bps),
    'bps-burst': bpsBurst && sizeText(bpsBurst),
  });
}

function plainNic(nic: Nic): NonNullable<DefinitionInput['nics']>[number] {
  const { model, network, queues, link, limits, virtio, ...more } = nic;
  const { addr, mac, mtu, vhost, vectors, bootindex } = more;
  return given({
    model: model === 'virtio' ? undefined : model,
    network: plainNetwork(network),
    addr,
    mac,
    queues: queues > 1 ? queues : undefined,
    mtu,
    link: link === 'up' ? undefined : link,
    vhost,
    vectors,
    bootindex,
    limits: limits && orNothing(plainNicLimits(limits)),
    virtio: virtio && orNothing(given(virtio)),
  });
}

/** The limits of a network card in the form of a definition. */
export function plainNicLimits({ receive, transmit }: NonNullable<Nic['limits']>) {
  return given({
    receive: receive && plainDirection(receive),
    transmit: transmit && plainDirection(transmit),
  });
}

type Direction = NonNullable<NonNullable<Nic['limits']>['receive']>;

function plainDirection({ bps, pps, 'bps-burst': bpsBurst, 'pps-burst': ppsBurst }: Direction) {
  return given({
    bps: bps && sizeText(bps),
    'bps-burst': bpsBurst && sizeText(bpsBurst),
    pps,
    'pps-burst': ppsBurst,
  });
}

function plainNetwork(network: NicNetwork): NicNetworkInput {
  const plain: Record<string, unknown> = { ...network };
  if ('forward' in network) plain.forward = orNothing(network.forward.map(plainForward));
  switch (network.type) {
    case 'user':
      plain['guest-forward'] = orNothing(network['guest-forward']);
      plain.search = orNothing(network.search);
      plain.restrict = network.restrict || undefined;
      plain.ipv4 = network.ipv4 ? undefined : false;
      plain.ipv6 = network.ipv6 ? undefined : false;
      break;
    case 'macvtap':
      plain.mode = network.mode === 'bridge' ? undefined : network.mode;
      break;
    case 'hub':
      plain.networks = orNothing(network.networks.map(plainNetwork));
      break;
  }
  const rest = given(plain);
  // Networks that need no other settings are written as their type alone.
  return (Object.keys(rest).length === 1 ? network.type : rest) as NicNetworkInput;
}

function plainForward({ protocol, address, ...ports }: NicForward) {
  return given({
    protocol: protocol === 'tcp' ? undefined : protocol,
    address: address === '127.0.0.1' ? undefined : address,
    ...ports,
  });
}
