import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { factsPath, type HostFacts } from '../../../src/host/recorded-facts.ts';
import { HostRoot } from '../../../src/host/root.ts';
import { type CapabilitySpec, configBytes } from './config-bytes.ts';
import { modulesAliasText, pciIdsText } from './names.ts';

export type FunctionSpec = {
  readonly address: string;
  /** Address of the bridge above; without one it is on its domain's root bus 0. */
  readonly parent?: string;
  /** `8086:10c9` */
  readonly id: string;
  readonly subsystem?: string;
  readonly class: string;
  readonly revision?: string;
  readonly driver?: string;
  readonly group?: number;
  readonly node?: number;
  readonly multifunction?: boolean;
  readonly bridge?: { readonly secondary: number; readonly subordinate: number };
  readonly physicalFunction?: string;
  readonly capabilities?: readonly CapabilitySpec[];
  /** Lines of `resource` as [start, size, flags]; the rest is zeros. */
  readonly regions?: readonly (readonly [number, number, number])[];
  /** Further sysfs attributes. */
  readonly attributes?: Readonly<Record<string, string>>;
};

export const release = '6.12.0-test';

/** In memory where it can be: a tree is tens of thousands of small files. */
const temporary = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();

/** Writes a tree that looks like /sys, /proc and /etc of a host to a temporary directory. */
export class TreeBuilder {
  readonly directory: string;
  readonly facts: HostFacts = {
    version: 1,
    recordedAt: '2026-01-01T00:00:00.000Z',
    nodes: [],
    addresses: {},
    sshConnections: [],
    commands: {},
    unreadable: {},
    networkConfig: true,
  };
  readonly #paths = new Map<string, string>();

  constructor() {
    this.directory = fs.mkdtempSync(path.join(temporary, 'vring-tree-'));
    this.file('/proc/sys/kernel/osrelease', `${release}\n`);
    this.file('/proc/cmdline', 'BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro\n');
    this.file('/proc/self/mountinfo', '');
    this.file('/proc/swaps', 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n');
    this.file('/usr/share/misc/pci.ids', pciIdsText);
    this.file(`/usr/lib/modules/${release}/modules.alias`, modulesAliasText);
    this.link('/lib', 'usr/lib');
    this.file('/sys/bus/pci/drivers_probe', '');
    this.file('/sys/bus/pci/devices/.keep', '');
    fs.rmSync(this.at('/sys/bus/pci/devices/.keep'));
  }

  file(hostPath: string, content: string | Buffer): this {
    const target = this.at(hostPath);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, content);
    return this;
  }

  files(contents: Readonly<Record<string, string>>): this {
    for (const [hostPath, content] of Object.entries(contents)) this.file(hostPath, content);
    return this;
  }

  link(hostPath: string, target: string): this {
    fs.mkdirSync(path.dirname(this.at(hostPath)), { recursive: true });
    fs.symlinkSync(target, this.at(hostPath));
    return this;
  }

  removePath(hostPath: string): this {
    fs.rmSync(this.at(hostPath), { recursive: true });
    return this;
  }

  /** A link from one place in the tree to another, relative as sysfs has them. */
  relativeLink(hostPath: string, target: string): this {
    fs.mkdirSync(this.at(target), { recursive: true });
    return this.link(hostPath, path.posix.relative(path.posix.dirname(hostPath), target));
  }

  /** The sysfs directory of a function that was added. */
  pathOf(address: string): string {
    const found = this.#paths.get(address);
    if (!found) throw new Error(`no function ${address} in this tree`);
    return found;
  }

  pci(spec: FunctionSpec): this {
    const domainBus = spec.address.slice(0, spec.address.lastIndexOf(':'));
    const above = spec.parent ? this.pathOf(spec.parent) : `/sys/devices/pci${domainBus}`;
    const directory = `${above}/${spec.address}`;
    this.#paths.set(spec.address, directory);
    const [vendor, device] = spec.id.split(':') as [string, string];
    const [subVendor, subDevice] = (spec.subsystem ?? '0000:0000').split(':') as [string, string];
    const wide = (id: string) => `0000${id.toUpperCase()}`;
    const [base, sub, progIf] = spec.class.toUpperCase().match(/../g) as [string, string, string];
    const alias = `pci:v${wide(vendor)}d${wide(device)}sv${wide(subVendor)}sd${wide(subDevice)}bc${base}sc${sub}i${progIf}`;
    const event = [
      ...(spec.driver ? [`DRIVER=${spec.driver}`] : []),
      `PCI_CLASS=${spec.class.replace(/^0+(?=.)/, '').toUpperCase()}`,
      `PCI_ID=${vendor.toUpperCase()}:${device.toUpperCase()}`,
      `PCI_SUBSYS_ID=${subVendor.toUpperCase()}:${subDevice.toUpperCase()}`,
      `PCI_SLOT_NAME=${spec.address}`,
      `MODALIAS=${alias}`,
    ];
    const attributes: Record<string, string> = {
      uevent: `${event.join('\n')}\n`,
      numa_node: `${spec.node ?? -1}\n`,
      driver_override: '(null)\n',
      power_state: 'D0\n',
      resource: resourceText(spec),
      ...Object.fromEntries(
        Object.entries(spec.attributes ?? {}).map(([name, value]) => [name, `${value}\n`]),
      ),
    };
    for (const [name, value] of Object.entries(attributes)) this.file(`${directory}/${name}`, value);
    this.file(
      `${directory}/config`,
      configBytes({ ...spec, vendor, device, virtual: spec.physicalFunction !== undefined }),
    );
    this.relativeLink(`/sys/bus/pci/devices/${spec.address}`, directory);
    if (spec.driver) this.#bind(spec.address, directory, spec.driver);
    if (spec.group !== undefined) {
      const group = `/sys/kernel/iommu_groups/${spec.group}`;
      this.relativeLink(`${group}/devices/${spec.address}`, directory);
      this.relativeLink(`${directory}/iommu_group`, group);
      this.file(`${group}/type`, 'DMA-FQ\n');
      this.file(`${group}/reserved_regions`, '0x00000000fee00000 0x00000000feefffff msi\n');
    }
    if (spec.physicalFunction) this.#joinPhysical(directory, spec.physicalFunction);
    return this;
  }

  driver(name: string): this {
    for (const file of ['bind', 'unbind', 'new_id']) this.file(`/sys/bus/pci/drivers/${name}/${file}`, '');
    return this;
  }

  /** A loaded module with its parameters. */
  module(name: string, parameters: Readonly<Record<string, string>> = {}): this {
    this.file(`/sys/module/${name}/initstate`, 'live\n');
    for (const [key, value] of Object.entries(parameters)) {
      this.file(`/sys/module/${name}/parameters/${key}`, `${value}\n`);
    }
    return this;
  }

  /** A network interface on a function (or virtual, without one), with its uppers. */
  net(
    name: string,
    options: { on?: string; mac?: string; addresses?: string[]; uppers?: string[]; kind?: string } = {},
  ): this {
    const directory = options.on
      ? `${this.pathOf(options.on)}/net/${name}`
      : `/sys/devices/virtual/net/${name}`;
    this.files({
      [`${directory}/address`]: `${options.mac ?? '00:00:00:00:00:00'}\n`,
      [`${directory}/addr_assign_type`]: '0\n',
      [`${directory}/operstate`]: 'up\n',
    });
    for (const upper of options.uppers ?? []) {
      this.link(`${directory}/upper_${upper}`, `../${upper}`);
    }
    this.relativeLink(`/sys/class/net/${name}`, directory);
    this.facts.addresses[name] = options.addresses ?? [];
    return this;
  }

  /** A block device; partitions have the disk's directory above them. */
  block(
    name: string,
    options: {
      directory: string;
      number: string;
      partition?: number;
      holders?: string[];
      mapper?: { name: string; uuid: string };
      raid?: string;
      udev?: Record<string, string>;
    },
  ): this {
    const { directory } = options;
    this.file(`${directory}/dev`, `${options.number}\n`).file(`${directory}/size`, '2097152\n');
    if (options.partition !== undefined) this.file(`${directory}/partition`, `${options.partition}\n`);
    if (options.mapper) {
      this.file(`${directory}/dm/name`, `${options.mapper.name}\n`);
      this.file(`${directory}/dm/uuid`, `${options.mapper.uuid}\n`);
    }
    if (options.raid) this.file(`${directory}/md/level`, `${options.raid}\n`);
    fs.mkdirSync(this.at(`${directory}/holders`), { recursive: true });
    for (const holder of options.holders ?? []) {
      this.link(`${directory}/holders/${holder}`, `/sys/devices/virtual/block/${holder}`);
    }
    const lines = Object.entries(options.udev ?? {}).map(([key, value]) => `E:${key}=${value}\n`);
    if (lines.length > 0) this.file(`/run/udev/data/b${options.number}`, lines.join(''));
    this.relativeLink(`/sys/class/block/${name}`, directory);
    return this;
  }

  node(devicePath: string, minor: number, options: { mode?: number; usable?: boolean } = {}): this {
    const { mode = 0o600, usable = true } = options;
    this.facts.nodes.push({
      path: devicePath,
      kind: 'character',
      major: 10,
      minor,
      mode,
      uid: 0,
      gid: 0,
      usable,
    });
    return this;
  }

  /** Writes the facts down and opens the tree. */
  root(): HostRoot {
    this.file(factsPath, JSON.stringify(this.facts));
    return new HostRoot(this.directory);
  }

  remove(): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  at(hostPath: string): string {
    return path.join(this.directory, hostPath);
  }

  #bind(address: string, directory: string, driver: string): void {
    this.driver(driver);
    this.relativeLink(`${directory}/driver`, `/sys/bus/pci/drivers/${driver}`);
    this.relativeLink(`/sys/bus/pci/drivers/${driver}/${address}`, directory);
  }

  #joinPhysical(directory: string, physicalFunction: string): void {
    const pf = this.pathOf(physicalFunction);
    this.relativeLink(`${directory}/physfn`, pf);
    const index = fs.readdirSync(this.at(pf)).filter(name => name.startsWith('virtfn')).length;
    this.relativeLink(`${pf}/virtfn${index}`, directory);
  }
}

/** 7 regions, the VF BARs, and 4 windows for a bridge: as a kernel with PCI_IOV prints them. */
function resourceText(spec: FunctionSpec): string {
  const lines = Array.from({ length: spec.bridge ? 17 : 13 }, (_, index) => {
    const [start, size, flags] = spec.regions?.[index] ?? [0, 0, 0];
    const end = size === 0 ? 0 : start + size - 1;
    return [start, end, flags].map(value => `0x${value.toString(16).padStart(16, '0')}`).join(' ');
  });
  return `${lines.join('\n')}\n`;
}
