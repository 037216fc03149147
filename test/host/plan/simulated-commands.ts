import fs from 'node:fs';
import path from 'node:path';
import type { CommandResult } from '../../../src/host/recorded-facts.ts';
import type { SimulatedHost } from './simulated-host.ts';

const done: CommandResult = { exitCode: 0, stdout: '', stderr: '' };

function failed(stderr: string): CommandResult {
  return { exitCode: 1, stdout: '', stderr };
}

/** The commands that plans run, as far as their effects can be seen in a tree. */
export function runCommand(host: SimulatedHost, argv: readonly string[]): CommandResult | null {
  const [file = '', ...args] = argv;
  switch (path.basename(file)) {
    case 'modprobe':
      return args[0] === '-r' ? unloadModule(host, args[1]!) : loadModule(host, args[0]!);
    case 'ip':
      return ipLink(host, args);
    case 'systemctl':
      return systemctl(host, args);
    case 'update-initramfs':
    case 'dracut':
      return collect(host, '/boot/initrd.img', ['/etc/modprobe.d']);
    case 'update-grub':
      return collect(host, '/boot/grub/grub.cfg', ['/etc/default']);
    case 'udevadm':
      return done;
    case 'grubby':
      return grubby(host, file, args);
    default:
      return null;
  }
}

const driverNames: Readonly<Record<string, string>> = {
  vfio_pci: 'vfio-pci',
  pci_stub: 'pci-stub',
  igb: 'igb',
  nvme: 'nvme',
};

function loadModule(host: SimulatedHost, name: string): CommandResult {
  const module = name.replaceAll('-', '_');
  const directory = `/sys/module/${module}`;
  if (fs.existsSync(host.pci.at(directory))) return done;
  host.tree.file(`${directory}/initstate`, 'live\n').file(`${directory}/refcnt`, '0\n');
  const driver = driverNames[module];
  if (driver !== undefined) {
    host.pci.register(driver);
    host.tree.relativeLink(`${directory}/drivers/pci:${driver}`, `/sys/bus/pci/drivers/${driver}`);
  }
  return done;
}

function unloadModule(host: SimulatedHost, name: string): CommandResult {
  const module = name.replaceAll('-', '_');
  if (!fs.existsSync(host.pci.at(`/sys/module/${module}`))) return failed(`Module ${module} is not loaded`);
  fs.rmSync(host.pci.at(`/sys/module/${module}`), { recursive: true });
  const driver = driverNames[module];
  if (driver !== undefined) host.pci.unregister(driver);
  return done;
}

/** `ip link set dev PF vf N mac M` and its like. */
function ipLink(host: SimulatedHost, args: readonly string[]): CommandResult {
  const [, , , name, , vf, ...settings] = args;
  const links = host.sriov.links();
  const info = links.find(link => link.ifname === name)?.vfinfo_list?.[Number(vf)];
  if (!info) return failed('RTNETLINK answers: Invalid argument');
  for (let index = 0; index < settings.length; index += 2) {
    const [key, value] = [settings[index], settings[index + 1]!];
    if (key === 'mac') info.mac = value;
    else if (key === 'vlan') info.vlan_list = [{ vlan: Number(value), qos: 0 }];
    else if (key === 'qos') info.vlan_list[0]!.qos = Number(value);
    else if (key === 'trust') info.trust = value === 'on';
    else if (key === 'spoofchk') info.spoofchk = value === 'on';
    else if (key === 'state') info.link_state = value;
    else if (key === 'max_tx_rate') info.rate.max_tx = Number(value);
    else if (key === 'min_tx_rate') info.rate.min_tx = Number(value);
    else return failed(`Error: argument "${key}" is wrong`);
  }
  host.sriov.writeLinks(links);
  return done;
}

function systemctl(host: SimulatedHost, args: readonly string[]): CommandResult {
  const [command, unit] = args;
  const wants = `/etc/systemd/system/multi-user.target.wants/${unit}`;
  if (command === 'enable') host.tree.link(wants, `/etc/systemd/system/${unit}`);
  if (command === 'disable') fs.rmSync(host.pci.at(wants), { force: true });
  return done;
}

/** What a generator makes of its sources: here, all of their text. */
function collect(host: SimulatedHost, output: string, directories: readonly string[]): CommandResult {
  const texts = directories.flatMap(directory =>
    (host.root.list(directory) ?? [])
      .filter(name => !name.includes('backup'))
      .map(name => host.root.text(`${directory}/${name}`) ?? ''),
  );
  host.tree.file(output, texts.join(''));
  return done;
}

/** Keeps the arguments of all kernels in one file, and shows them. */
function grubby(host: SimulatedHost, file: string, args: readonly string[]): CommandResult {
  const store = '/boot/loader/arguments';
  const words = (host.root.text(store) ?? host.root.text('/proc/cmdline') ?? '').split(/\s+/).filter(Boolean);
  const given = (option: string) =>
    args.filter(arg => arg.startsWith(`${option}=`)).flatMap(arg => arg.slice(option.length + 1).split(' '));
  const removed = given('--remove-args');
  const next = [...words.filter(word => !removed.includes(word)), ...given('--args')];
  const text = next.join(' ');
  host.tree.file(store, text);
  host.root.facts().commands[`${file} --info=ALL`] = { exitCode: 0, stdout: text, stderr: '' };
  return done;
}
