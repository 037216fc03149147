import { type Command, Option } from 'commander';
import type { ChangeOptions } from '../host/change.ts';
import { withChangeOptions } from '../host/change-options.ts';
import { type HostOptions, openHost, outputWidth, print, withHostOptions } from '../host/host-options.ts';
import { listCommand } from '../list-command.ts';
import { withManual } from '../manual.ts';
import type { CreateOptions } from './change.ts';

/** The commands for networks of this host. Their code is loaded when they run. */
export function registerNetCommands(program: Command): void {
  const net = program.command('net').description('Manage NAT, routed and isolated networks for VMs');
  registerReading(net);
  registerCreate(net);
  for (const { name, description, kind } of [
    { name: 'start', description: 'Bring a network up', kind: 'start' },
    { name: 'stop', description: 'Take a network down but keep its definition', kind: 'stop' },
    { name: 'delete', description: 'Take a network down and remove its definition', kind: 'delete' },
  ] as const) {
    withChangeOptions(
      net.command(name).argument('<network>', 'name of the network').description(description),
    ).action(async (network: string, options: ChangeOptions) => {
      const { changeNetwork } = await import('./change.ts');
      process.exitCode = await changeNetwork(await openHost(options), kind, network, options);
    });
  }
}

function registerReading(net: Command): void {
  const keys = [
    ['name', 'its name, to which VMs refer'],
    ['state', '`up`, `down`, or `broken`: then `problems` says why'],
    ['form', '`nat`, `routed` or `isolated`'],
    ['subnet', "its addresses; `address` is the host's"],
    ['bridge', 'its bridge on the host; `ports` are the attached interfaces'],
    [
      'dhcp',
      'the DHCP range (`start`, `end`), or false; `dns`, `domain` and `reservations` as in the definition',
    ],
    ['leases', 'addresses assigned by DHCP: `mac`, `address`, `name`, `expiresAt` (seconds since 1970)'],
    ['traffic', 'what the host received from guests and sent to them: bytes and packets'],
  ] as const;
  withManual(
    withHostOptions(listCommand(net).description('List networks')).action(async (options: HostOptions) => {
      const { networkTable } = await import('./list.ts');
      const { listNetworks } = await import('../../host/networks/read.ts');
      const list = await listNetworks(await openHost(options));
      print(options, list, () => networkTable(list, outputWidth()));
    }),
    {
      json: [
        ['networks', 'each network, as `vring net show --json` prints it'],
        ['problems', 'definitions that cannot be read'],
      ],
    },
  );
  withManual(
    withHostOptions(
      net
        .command('show')
        .argument('<network>', 'name of the network')
        .description('Show a network, with its leases'),
    ).action(async (name: string, options: HostOptions) => {
      const { networkLines, showNetwork } = await import('./list.ts');
      const network = await showNetwork(await openHost(options), name);
      print(options, { network }, () => networkLines(network, outputWidth()));
    }),
    { json: [['network', 'the network, with these keys:'], ...keys] },
  );
}

function registerCreate(net: Command): void {
  withManual(
    withChangeOptions(
      net
        .command('create')
        .argument('<name>', 'name of the network')
        .description('Create a network and bring it up')
        .option('--subnet <subnet>', 'its subnet, such as 192.168.150.0/24 (default: a free private one)')
        .addOption(
          new Option('--routed', "no NAT: other hosts have a route to the guests' addresses").conflicts(
            'isolated',
          ),
        )
        .option('--isolated', 'guests reach only each other and the host')
        .option('--bridge <name>', 'name of the bridge (default: vr- and the name)')
        .option('--dhcp <start-end>', 'the addresses that DHCP assigns (default: all but the first)')
        .option('--no-dhcp', 'no DHCP')
        .option('--no-dns', 'no DNS')
        .option('--domain <domain>', "the guests' domain, whose names DNS resolves")
        .option(
          '--reserve <mac=address>',
          'reserve an address for a guest, optionally with ,NAME (repeat for more)',
          collect,
        )
        .option('--autostart', 'bring it up whenever the manager starts')
        .option('--down', 'do not bring it up'),
    ).action(async (name: string, options: CreateOptions) => {
      const { createNetwork } = await import('./change.ts');
      process.exitCode = await createNetwork(await openHost(options), name, options);
    }),
    {
      text: [
        'A network is a bridge on the host, with DHCP and DNS by dnsmasq, and an nftables table for NAT. ' +
          '`--dry-run` shows every step in advance; `vring undo` reverts all of them, and `vring net delete` ' +
          'removes the network. Its definition is a file in /etc/vring/networks. After a reboot, the network ' +
          'comes up with `--autostart`, with the first VM that starts in it, or by `vring net start`.',
      ],
      examples: [
        { command: 'vring net create default', does: 'a NAT network with a free subnet' },
        {
          command:
            'vring net create lab --isolated --subnet 10.9.0.0/24 --reserve 52:54:00:00:00:01=10.9.0.10,db',
          does: 'an isolated network, in which one guest has a fixed address and name',
        },
      ],
    },
  );
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
