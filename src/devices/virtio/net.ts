import { macAddressOf, macBytes, macText } from '../backends/mac-address.ts';
import {
  type DataPath,
  MAX_QUEUE_PAIRS,
  type NetBackend,
  netFields,
  type ReceiveSideScaling,
} from '../backends/net.ts';
import { netLimitsText } from '../backends/net-limits.ts';
import { bootFields } from '../boot-device.ts';
import { type ConfigurableType, deviceFields, type Zod } from '../device-type.ts';
import { networkFacts } from '../net/network-facts.ts';
import { addNetworkRom, ipxeRom, romFields } from '../pci/option-rom.ts';
import { NET_FEATURE, netFeatures } from './net-features.ts';
import { SWITCH_PROPERTIES, switchedOff, switchFields } from './net-switches.ts';
import { virtioNames } from './qemu-names.ts';
import { TRANSPORT_PROPERTIES, transportFields, withTransportFeatures } from './transport-options.ts';
import { VirtioPci } from './transport-pci.ts';
import { VirtioNet } from './virtio-net.ts';

/** The minimum for IPv4, and Linux's maximum for an interface. */
const MIN_MTU = 68;
const MAX_MTU = 65_535;
const DEFAULT_MTU = 1500;

const QUEUE_SIZE = 256;
const SIZES = [256, 512, 1024] as const;

const options = (z: Zod) => {
  const size = (what: string) =>
    z
      .literal(SIZES, `one of ${SIZES.join(', ')}`)
      .default(QUEUE_SIZE)
      .describe(`entries of each ${what} queue`);
  return z.strictObject({
    ...deviceFields(z, 'virtio-net'),
    ...netFields(z),
    ...transportFields(z),
    queues: z
      .int()
      .min(1, 'at least 1 pair')
      .max(MAX_QUEUE_PAIRS, `at most ${MAX_QUEUE_PAIRS} pairs`)
      .optional()
      .describe("pairs of queues, each queue with its own thread; the network's if absent, or 1"),
    mtu: z
      .int()
      .min(MIN_MTU, `at least ${MIN_MTU}`)
      .max(MAX_MTU, `at most ${MAX_MTU}`)
      .optional()
      .describe("the MTU reported to the guest, in bytes (default: the network's)"),
    vectors: z
      .int()
      .min(0)
      .max(2 * MAX_QUEUE_PAIRS + 2, `at most ${2 * MAX_QUEUE_PAIRS + 2}`)
      .optional()
      .describe('interrupt vectors; one for each queue and one more if absent, and 0 for none'),
    ...bootFields(z),
    ...romFields(z),
    speed: z
      .int()
      .min(0)
      .max(0x7fff_ffff)
      .optional()
      .describe('the link speed reported to the guest, in megabits per second'),
    duplex: z.enum(['half', 'full']).optional().describe('whether the link is reported as full duplex'),
    vhost: z
      .boolean()
      .optional()
      .describe('whether vhost-net carries the frames of a TAP or macvtap interface (default: where it can)'),
    'rx-queue-size': size('receive'),
    'tx-queue-size': size('transmit'),
    ...switchFields(z),
  });
};

/** The ROM of a transitional card. */
const IPXE = ipxeRom('virtio');

type Options = ReturnType<ReturnType<typeof options>['parse']>;

/** The number of queue pairs of a card with these options. */
function pairsOf({ queues, mq, network }: Pick<Options, 'queues' | 'mq' | 'network'>): number {
  if (mq === false) return 1;
  const own = 'queues' in network ? network.queues : undefined;
  return queues ?? own ?? 1;
}

/** The number of hub ports that come with a card. */
function hubPorts(network: Options['network']): number {
  return network.type === 'hub' ? 1 + (network.networks?.length ?? 0) : 0;
}

/** `vhost-net`; `threads of the VM (its rates are limited, ...)` */
function dataPathText({ kernel, why }: DataPath): string {
  if (kernel) return 'vhost-net';
  return why === null ? 'threads of the VM' : `threads of the VM (vhost-net: ${why})`;
}

function rssFact(features: bigint, scaling: ReceiveSideScaling | null) {
  if ((features & NET_FEATURE.rss) === 0n) return [];
  return [{ label: 'RSS', value: scaling === null ? 'not used by the guest' : 'set by the guest' }];
}

/** Warns of each reason why the kernel does not carry the frames of a card for which it was requested. */
function unaskedPath(name: string, backend: NetBackend, warn: (text: string) => void): () => void {
  const said = new Set<string>();
  return () => {
    const { kernel, why } = backend.dataPath;
    const reason = why ?? `${backend.label} is not an interface of the host`;
    if (kernel || said.has(reason)) return;
    said.add(reason);
    warn(`${name}: threads of the VM carry its frames, not vhost-net: ${reason}`);
  };
}

export const virtioNet: ConfigurableType<ReturnType<typeof options>> = {
  type: 'virtio-net',
  title: 'virtio network card',
  description:
    'a card whose frames the kernel or native threads carry between the guest and a network of the host',
  bus: 'pci',
  backend: 'net',
  vnetHeader: true,
  definition: { key: 'nics', value: 'virtio' },
  libvirt: {
    element: 'interface',
    models: ['virtio', 'virtio-transitional', 'virtio-non-transitional'],
  },
  prefix: 'net',
  qemu: {
    devices: virtioNames('net'),
    properties: {
      netdev: 'network',
      mac: 'mac',
      bootindex: 'bootindex',
      romfile: 'romfile',
      rombar: 'rombar',
      vectors: 'vectors',
      host_mtu: 'mtu',
      speed: 'speed',
      duplex: 'duplex',
      rx_queue_size: 'rx-queue-size',
      tx_queue_size: 'tx-queue-size',
      ...SWITCH_PROPERTIES,
      ...TRANSPORT_PROPERTIES,
    },
  },
  config: options,
  // Each port of a hub that comes with a card counts as a queue.
  queues: given => 2 * pairsOf(given) + 1 + hubPorts(given.network),
  queuePairs: pairsOf,
  vhost: ({ vhost }) => vhost !== false,
  create(services, options, name) {
    const { network, limits = {}, link, speed = null, duplex = null } = options;
    const backend = services.backends.open('net', { device: name, network });
    const pairs = Math.min(pairsOf(options), backend.queuePairs);
    const known = backend.mtu === DEFAULT_MTU ? null : backend.mtu;
    const mtu = options.mtu ?? known;
    const mac = macBytes(options.mac ?? macAddressOf(name));
    const { takes, gives, scales } = backend;
    const speedDuplex = speed !== null || duplex !== null;
    const unwanted = switchedOff(options);
    const features = netFeatures({ takes, gives, scales, pairs, mtu, speedDuplex, unwanted });
    const net = new VirtioNet(
      {
        ...{ name, features, mac, pairs, mtu, link, limits },
        mode: { speed, duplex },
        transportFeatures: withTransportFeatures(options),
        receiveSize: options['rx-queue-size'],
        transmitSize: options['tx-queue-size'],
        vectors: options.vectors ?? null,
      },
      backend,
      services,
    );
    const device = new VirtioPci(net, services);
    addNetworkRom(device.function, services, options, IPXE);
    const warnOnce = unaskedPath(name, backend, services.warn.bind(services));
    if (options.vhost === true) warnOnce();
    const hooks = new Set<() => void>();
    net.onFactsChanged = () => {
      if (options.vhost === true) warnOnce();
      for (const hook of hooks) hook();
    };
    return {
      device,
      pci: device.function,
      boot: {
        ...{ kind: 'network', index: options.bootindex },
        ...{ node: 'ethernet', below: '/ethernet-phy@0' },
      },
      capabilities: {
        nic: {
          setLink: up => net.setLink(up),
          setLimits: wanted => net.setLimits(wanted),
          onChanged: hook => {
            hooks.add(hook);
            return () => hooks.delete(hook);
          },
        },
      },
      get facts() {
        return [
          ...networkFacts(backend),
          { label: 'MAC', value: macText(net.mac) },
          {
            label: 'link',
            value: !net.link ? 'down' : backend.connected ? 'up' : 'down (the other end is gone)',
          },
          { label: 'MTU', value: mtu ?? backend.mtu ?? DEFAULT_MTU },
          { label: 'queues', value: pairs },
          ...rssFact(features, net.scaling),
          { label: 'data path', value: dataPathText(backend.dataPath) },
          { label: 'checksum offload', value: (features & NET_FEATURE.checksum) !== 0n },
          { label: 'segmentation offload', value: (features & NET_FEATURE.hostTso4) !== 0n },
          { label: 'limits', value: netLimitsText(net.limits) },
        ];
      },
    };
  },
};
