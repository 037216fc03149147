import { release } from 'node:os';
import { otherVersion } from '../engine/vm-info.ts';
import { API_VERSION } from '../vmm/kvm/constants.ts';
import { Kvm } from '../vmm/kvm/kvm.ts';
import { close } from '../vmm/native/libc.ts';
import type { ResourceOwner } from '../vmm/native/resource-owner.ts';
import { managerIfAny } from './vm/manager.ts';

export type VersionFacts = {
  readonly vring: string;
  readonly node: string;
  readonly kernel: string;
  readonly kvm: { readonly api: number | null; readonly problem: string | null };
  readonly manager: { readonly pid: number; readonly version: string; readonly startedAt: number } | null;
  /** VMs that run another version. */
  readonly vms: readonly { readonly name: string; readonly version: string }[];
};

export async function versionFacts(vring: string): Promise<VersionFacts> {
  const engine = await managerIfAny();
  const manager = engine && {
    pid: engine.manager.pid,
    version: engine.manager.version,
    startedAt: engine.manager.startedAt,
  };
  const vms = (engine?.vms() ?? []).flatMap(vm => {
    const other = otherVersion(vm, vring);
    return other === null ? [] : [{ name: vm.name, version: other }];
  });
  await engine?.close();
  return { vring, node: process.version, kernel: release(), kvm: kvmFacts(), manager, vms };
}

/** Opening KVM checks its API version: vring needs 12, the only one since 2007. */
function kvmFacts(): VersionFacts['kvm'] {
  const fds: number[] = [];
  const owner: ResourceOwner = {
    ownFd: fd => {
      fds.push(fd);
      return fd;
    },
    ownMap: () => {},
    closeFd: close,
  };
  try {
    Kvm.open(owner);
    return { api: API_VERSION, problem: null };
  } catch (error) {
    return { api: null, problem: (error as Error).message };
  } finally {
    fds.forEach(close);
  }
}
