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
    { name: 'stop', description: 'Take a network down, and keep its definition', kind: 'stop' },
    { name: 'delete', description: 'Take a network down, and remove its definition', kind: 'delete' },
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
    ['name', 'the name, as VMs have it'],
    ['state', '`up`, `down`, or `broken`: then `problems` says what is missing'],
    ['form', '`nat`, `routed` or `isolated`'],
    ['subnet', "its addresses; `address` is the host's"],
    ['bridge', 'the bridge of the host; `ports` are the interfaces that are attached to it'],
    ['dhcp', 'the range (`start`, `end`), or false; `dns`, `domain` and `reservations` as they were given'],
    ['leases', 'addresses that DHCP has given: `mac`, `address`, `name`, `expiresAt` (seconds since 1970)'],
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
        ['problems', 'files that are no definitions'],
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
        .description('Create a network, and bring it up')
        .option(
          '--subnet <subnet>',
          'its addresses, such as 192.168.150.0/24 (default: a private network that is free)',
        )
        .addOption(
          new Option('--routed', "guests' addresses are known outside: no NAT").conflicts('isolated'),
        )
        .option('--isolated', 'guests reach each other and the host, and nothing else')
        .option('--bridge <name>', 'name of the bridge (default: vr- and the name)')
        .option('--dhcp <start-end>', 'the addresses that DHCP gives (default: all but the first)')
        .option('--no-dhcp', 'no DHCP')
        .option('--no-dns', 'no DNS')
        .option('--domain <domain>', 'the domain of the guests, whose names DNS knows')
        .option(
          '--reserve <mac=address>',
          'an address for a guest, with ,NAME for its name; may be repeated',
          collect,
          [],
        )
        .option('--autostart', 'bring it up whenever the manager starts')
        .option('--down', 'only define it'),
    ).action(async (name: string, options: CreateOptions) => {
      const { createNetwork } = await import('./change.ts');
      process.exitCode = await createNetwork(await openHost(options), name, options);
    }),
    {
      text: [
        'A network is a bridge of the host with DHCP and DNS by dnsmasq, and a table of nftables for NAT. `--dry-run` shows each step before it is ' +
          'taken; `vring undo` takes all of it back, `vring net delete` removes all of it. Its definition is a file in /etc/vring/networks, so it ' +
          'can be brought up again after a reboot: by `--autostart`, by a VM that has a card in it, or by `vring net start`.',
      ],
      examples: [
        { command: 'vring net create default', does: 'a NAT network with a free range of addresses' },
        {
          command:
            'vring net create lab --isolated --subnet 10.9.0.0/24 --reserve 52:54:00:00:00:01=10.9.0.10,db',
          does: 'one without a way out, in which one guest has a fixed address and name',
        },
      ],
    },
  );
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}
