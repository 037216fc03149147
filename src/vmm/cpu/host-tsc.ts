import { Kvm } from '../kvm/kvm.ts';
import { close, munmap } from '../native/libc.ts';
import { fitsFrequency } from './tsc-state.ts';

/** The TSC that guests have on a host. */
export type HostTsc = { readonly khz: number; readonly canScale: boolean };

let known: HostTsc | null = null;

/** The TSC of guests here, by a VM that never runs; null if there is no usable KVM. */
export function tscHere(): HostTsc | null {
  known ??= readTsc();
  return known;
}

/** Why a guest whose TSC has this frequency cannot run with the TSC of a host; empty if it can. */
export function tscProblems(khz: number, host: HostTsc | null): string[] {
  if (host === null || host.canScale || fitsFrequency(host.khz, khz)) return [];
  return [
    `the guest's TSC runs at ${khz} kHz, that of this host at ${host.khz} kHz, and this host cannot scale it: use a host with the same frequency, or one with TSC scaling`,
  ];
}

function readTsc(): HostTsc | null {
  const fds: number[] = [];
  const maps: [bigint, number][] = [];
  try {
    const kvm = Kvm.open({
      ownFd: fd => {
        fds.push(fd);
        return fd;
      },
      ownMap: (address, length) => {
        maps.push([address, length]);
      },
      closeFd: close,
    });
    const vm = kvm.createVm();
    vm.createIrqchip();
    return { khz: vm.createVcpu(0).getTscKhz(), canScale: vm.capability('TSC_CONTROL') !== 0 };
  } catch {
    return null;
  } finally {
    for (const [address, length] of maps) munmap(address, length);
    fds.reverse().forEach(close);
  }
}
