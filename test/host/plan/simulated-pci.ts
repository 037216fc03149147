import fs from 'node:fs';
import path from 'node:path';
import type { HostRoot } from '../../../src/host/root.ts';
import { isVfioDriver } from '../../../src/host/vfio/read.ts';
import type { TreeBuilder } from '../trees/builder.ts';

/** What the kernel answers instead of doing it. */
export class KernelAnswer extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`${code}: the kernel's answer`);
    this.code = code;
  }
}

/**
 * The driver core of a tree: binds, unbinds and probes by changing links and nodes as Linux 6.12 does, with its
 * errnos (measured in the emulated host). What a driver made of a device - its network interfaces - goes and comes
 * with it.
 */
export class SimulatedPci {
  readonly root: HostRoot;
  readonly #tree: TreeBuilder;
  /** The host's own driver of each device: which device ids it knows. */
  readonly #natural = new Map<string, string>();
  /** What unbinding took away, to be put back when the same driver comes back. */
  readonly #removed = new Map<string, Map<string, string>>();

  constructor(tree: TreeBuilder) {
    this.#tree = tree;
    this.root = tree.root();
    for (const address of this.devices()) {
      const driver = this.driverOf(address);
      if (driver !== null && !isVfioDriver(driver)) this.#natural.set(address, driver);
    }
  }

  devices(): string[] {
    return fs.readdirSync(this.at('/sys/bus/pci/devices'));
  }

  at(hostPath: string): string {
    return this.#tree.at(hostPath);
  }

  /** The device's directory, without links. */
  directory(address: string): string {
    const link = '/sys/bus/pci/devices';
    if (!fs.existsSync(this.at(`${link}/${address}`))) throw new KernelAnswer('ENODEV');
    return path.posix.resolve(link, fs.readlinkSync(this.at(`${link}/${address}`)));
  }

  /** Teaches the host which driver is made for a device. */
  know(address: string, driver: string): void {
    this.#natural.set(address, driver);
  }

  driverOf(address: string): string | null {
    const link = this.at(`${this.directory(address)}/driver`);
    return fs.existsSync(link) ? path.basename(fs.readlinkSync(link)) : null;
  }

  override(address: string): string {
    const text = fs.readFileSync(this.at(`${this.directory(address)}/driver_override`), 'utf8').trim();
    return text === '(null)' ? '' : text;
  }

  setOverride(address: string, value: string): void {
    const driver = value.replace(/\n$/, '');
    this.#tree.file(`${this.directory(address)}/driver_override`, `${driver || '(null)'}\n`);
  }

  bind(driver: string, address: string): void {
    if (!this.registered(driver)) throw new KernelAnswer('ENOENT');
    const directory = this.directory(address);
    if (this.driverOf(address) !== null) throw new KernelAnswer('EBUSY');
    if (!this.#takes(driver, address)) throw new KernelAnswer('ENODEV');
    if (isVfioDriver(driver) && this.event(address, 'PCI_CLASS').startsWith('604'))
      throw new KernelAnswer('EINVAL');
    this.#tree.relativeLink(`${directory}/driver`, `/sys/bus/pci/drivers/${driver}`);
    this.#tree.relativeLink(`/sys/bus/pci/drivers/${driver}/${address}`, directory);
    if (isVfioDriver(driver)) this.#addNode(this.#group(address));
    else this.#restore(address);
  }

  /** @param driver undefined: through the device's own link. */
  unbind(address: string, driver?: string): void {
    const directory = this.directory(address);
    const bound = this.driverOf(address);
    if (driver === undefined && bound === null) throw new KernelAnswer('ENOENT');
    if (bound === null || (driver !== undefined && bound !== driver)) throw new KernelAnswer('ENODEV');
    fs.rmSync(this.at(`${directory}/driver`));
    fs.rmSync(this.at(`/sys/bus/pci/drivers/${bound}/${address}`));
    if (isVfioDriver(bound)) this.#removeNode(address);
    else this.#takeAway(address, directory);
  }

  /** Like writing to drivers_probe: it is not reported whether a driver took the device. */
  probe(address: string): void {
    this.directory(address);
    if (this.driverOf(address) !== null) return;
    const driver = this.override(address) || this.#natural.get(address);
    if (driver !== undefined && this.registered(driver) && this.#probes(address)) {
      try {
        this.bind(driver, address);
      } catch (error) {
        // The kernel sends no event.
        if (!(error instanceof KernelAnswer)) throw error;
      }
    }
  }

  /** With sriov_drivers_autoprobe off, a VF is left alone unless it has an override (pci_device_can_probe). */
  #probes(address: string): boolean {
    const physfn = this.at(`${this.directory(address)}/physfn`);
    if (!fs.existsSync(physfn) || this.override(address) !== '') return true;
    return fs.readFileSync(path.join(physfn, 'sriov_drivers_autoprobe'), 'utf8').trim() === '1';
  }

  registered(driver: string): boolean {
    return fs.existsSync(this.at(`/sys/bus/pci/drivers/${driver}`));
  }

  register(driver: string): void {
    this.#tree.driver(driver);
    for (const address of this.devices()) this.probe(address);
  }

  unregister(driver: string): void {
    for (const address of this.devices()) if (this.driverOf(address) === driver) this.unbind(address, driver);
    fs.rmSync(this.at(`/sys/bus/pci/drivers/${driver}`), { recursive: true, force: true });
  }

  #takes(driver: string, address: string): boolean {
    const override = this.override(address);
    return override === '' ? this.#natural.get(address) === driver : override === driver;
  }

  /** A value of the device's uevent file. */
  event(address: string, key: string): string {
    const text = fs.readFileSync(this.at(`${this.directory(address)}/uevent`), 'utf8');
    return new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  }

  #group(address: string): string | null {
    const link = this.at(`${this.directory(address)}/iommu_group`);
    return fs.existsSync(link) ? path.basename(fs.readlinkSync(link)) : null;
  }

  #addNode(group: string | null): void {
    const { nodes } = this.root.facts();
    const devicePath = `/dev/vfio/${group}`;
    if (group === null || nodes.some(node => node.path === devicePath)) return;
    nodes.push({
      path: devicePath,
      kind: 'character',
      major: 243,
      minor: Number(group),
      mode: 0o600,
      uid: 0,
      gid: 0,
      usable: true,
    });
  }

  #removeNode(address: string): void {
    const group = this.#group(address);
    const sharing = this.devices().filter(other => this.#group(other) === group);
    if (sharing.some(other => isVfioDriver(this.driverOf(other)))) return;
    const { nodes } = this.root.facts();
    const index = nodes.findIndex(node => node.path === `/dev/vfio/${group}`);
    if (index >= 0) nodes.splice(index, 1);
  }

  #takeAway(address: string, directory: string): void {
    const removed = new Map<string, string>();
    const take = (file: string): void => {
      removed.set(file, fs.readlinkSync(this.at(file)));
      fs.rmSync(this.at(file));
    };
    for (const kind of ['net', 'block']) {
      const links = fs.existsSync(this.at(`/sys/class/${kind}`))
        ? fs.readdirSync(this.at(`/sys/class/${kind}`))
        : [];
      for (const name of links) {
        const file = `/sys/class/${kind}/${name}`;
        const target = path.posix.resolve(`/sys/class/${kind}`, fs.readlinkSync(this.at(file)));
        if (target.startsWith(`${directory}/`) && !/\/[0-9a-f]{4}:/.test(target.slice(directory.length)))
          take(file);
      }
    }
    for (const kind of ['net', 'nvme']) {
      const from = this.at(`${directory}/${kind}`);
      if (!fs.existsSync(from)) continue;
      const to = `${this.#tree.directory}-${address}-${kind}`;
      fs.renameSync(from, to);
      removed.set(`${directory}/${kind}`, to);
    }
    this.#removed.set(address, removed);
  }

  #restore(address: string): void {
    for (const [file, from] of this.#removed.get(address) ?? []) {
      if (file.startsWith('/sys/class/')) fs.symlinkSync(from, this.at(file));
      else fs.renameSync(from, this.at(file));
    }
    this.#removed.delete(address);
  }

  /** What the tree itself does not hold. */
  dispose(): void {
    for (const removed of this.#removed.values()) {
      for (const [file, from] of removed) {
        if (!file.startsWith('/sys/class/')) fs.rmSync(from, { recursive: true, force: true });
      }
    }
    this.#tree.remove();
  }
}
