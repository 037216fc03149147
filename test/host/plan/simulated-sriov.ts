import fs from 'node:fs';
import { formatAddress, parseAddress } from '../../../src/host/pci/address.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { KernelAnswer, type SimulatedPci } from './simulated-pci.ts';

/** An entry of `vfinfo_list` in the output of `ip -j -d link`. */
export type VfInfo = {
  vf: number;
  mac: string;
  vlan_list: { vlan: number; qos: number }[];
  rate: { max_tx: number; min_tx: number };
  spoofchk: boolean;
  link_state: string;
  trust: boolean;
};
type Link = { ifname: string; vfinfo_list?: VfInfo[] };

/** Virtual functions of a tree: made, ended and configured as drivers do. */
export class SimulatedSriov {
  readonly #tree: TreeBuilder;
  readonly #pci: SimulatedPci;
  /** IOMMU group and config space are the hardware's, whenever a VF comes back. */
  readonly #kept = new Map<string, string>();

  constructor(tree: TreeBuilder, pci: SimulatedPci) {
    this.#tree = tree;
    this.#pci = pci;
  }

  /** A write to sriov_numvfs of the function at a sysfs directory. */
  setCount(directory: string, value: string): void {
    if (!/^\d+\n?$/.test(value)) throw new KernelAnswer('EINVAL');
    const wanted = Number(value);
    if (wanted > this.#number(directory, 'sriov_totalvfs')) throw new KernelAnswer('ERANGE');
    const current = this.#number(directory, 'sriov_numvfs');
    if (wanted === current) return;
    if (wanted > 0 && current > 0) throw new KernelAnswer('EBUSY');
    if (wanted === 0) this.#remove(directory, current);
    else this.#create(directory, wanted);
    this.#tree.file(`${directory}/sriov_numvfs`, `${wanted}\n`);
    this.#setLinks(directory, wanted);
  }

  links(): Link[] {
    const output = this.#pci.root.facts().commands['ip -j -d link'];
    return output ? JSON.parse(output.stdout) : [];
  }

  writeLinks(links: readonly Link[]): void {
    const { commands } = this.#pci.root.facts();
    commands['ip -j -d link'] = { exitCode: 0, stdout: JSON.stringify(links), stderr: '' };
  }

  #remove(directory: string, count: number): void {
    for (let index = 0; index < count; index++) {
      const address = this.#vfAddress(directory, index);
      const vf = this.#pci.directory(address);
      if (this.#pci.driverOf(address) !== null) this.#pci.unbind(address);
      const kept = `${this.#tree.directory}-vf-${address}`;
      fs.rmSync(kept, { recursive: true, force: true });
      const group = this.#pci.root.linkName(`${vf}/iommu_group`);
      fs.renameSync(this.#pci.at(vf), kept);
      this.#kept.set(address, kept);
      fs.rmSync(this.#pci.at(`/sys/bus/pci/devices/${address}`));
      fs.rmSync(this.#pci.at(`${directory}/virtfn${index}`));
      if (group) fs.rmSync(this.#pci.at(`/sys/kernel/iommu_groups/${group}`), { recursive: true });
    }
  }

  #create(directory: string, count: number): void {
    const physicalFunction = directory.split('/').at(-1)!;
    const parent = directory.split('/').at(-2)!;
    const [vendor] = this.#pci.event(physicalFunction, 'PCI_ID').toLowerCase().split(':');
    for (let index = 0; index < count; index++) {
      const address = this.#vfAddress(directory, index);
      this.#tree.pci({
        address,
        ...(parseAddress(parent) ? { parent } : {}),
        id: `${vendor}:${this.#text(directory, 'sriov_vf_device').padStart(4, '0')}`,
        class: this.#pci.event(physicalFunction, 'PCI_CLASS').padStart(6, '0'),
        group: this.#groupOf(address),
        physicalFunction,
        attributes: { reset_method: 'flr', reset: '' },
      });
      const kept = this.#kept.get(address);
      if (kept) this.#bringBack(address, kept);
      this.#pci.probe(address);
    }
  }

  #bringBack(address: string, kept: string): void {
    const directory = this.#pci.directory(address);
    fs.rmSync(this.#pci.at(directory), { recursive: true });
    fs.renameSync(kept, this.#pci.at(directory));
    this.#pci.setOverride(address, '\n');
    const group = this.#pci.root.linkName(`${directory}/iommu_group`);
    if (group) this.#tree.file(`/sys/kernel/iommu_groups/${group}/type`, 'DMA-FQ\n');
    this.#kept.delete(address);
  }

  /** VFs of the same index are in the same group each time here. */
  #groupOf(address: string): number {
    const kept = this.#kept.get(address);
    if (kept) return Number(fs.readlinkSync(`${kept}/iommu_group`).split('/').at(-1));
    const used = fs.readdirSync(this.#pci.at('/sys/kernel/iommu_groups')).map(Number);
    return Math.max(0, ...used) + 1;
  }

  #setLinks(directory: string, count: number): void {
    const interfaces = this.#pci.root.list(`${directory}/net`) ?? [];
    const links = this.links().map(link => {
      if (!interfaces.includes(link.ifname)) return link;
      const { vfinfo_list: _, ...rest } = link;
      return count === 0
        ? rest
        : { ...rest, vfinfo_list: Array.from({ length: count }, (_, vf) => freshVf(vf)) };
    });
    this.writeLinks(links);
  }

  #vfAddress(directory: string, index: number): string {
    const pf = parseAddress(directory.split('/').at(-1)!)!;
    const offset = this.#number(directory, 'sriov_offset') + index * this.#number(directory, 'sriov_stride');
    const id = (pf.bus << 8) + (pf.device << 3) + pf.function + offset;
    return formatAddress({ domain: pf.domain, bus: id >> 8, device: (id >> 3) & 31, function: id & 7 });
  }

  #number(directory: string, name: string): number {
    return Number(this.#text(directory, name));
  }

  #text(directory: string, name: string): string {
    return fs.readFileSync(this.#pci.at(`${directory}/${name}`), 'utf8').trim();
  }

  dispose(): void {
    for (const kept of this.#kept.values()) fs.rmSync(kept, { recursive: true, force: true });
  }
}

/** As a driver makes it; the MAC is the test's, so that it differs from one that was set. */
export function freshVf(vf: number): VfInfo {
  return {
    vf,
    mac: `02:aa:00:00:00:0${vf}`,
    vlan_list: [{ vlan: 0, qos: 0 }],
    rate: { max_tx: 0, min_tx: 0 },
    spoofchk: true,
    link_state: 'auto',
    trust: false,
  };
}
