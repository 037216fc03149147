import { Kvm } from '../kvm/kvm.ts';
import { close } from '../native/libc.ts';
import { hostCpuid } from './cpuid.ts';
import { type CpuChoice, missingFeatures } from './model-cpuid.ts';

/** The features of a choice that KVM on this host can't offer; null if there is no usable KVM. */
export function featuresMissingHere(choice: CpuChoice): string[] | null {
  const fds: number[] = [];
  const ownFd = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  try {
    const kvm = Kvm.open({ ownFd, ownMap: () => {}, closeFd: close });
    return missingFeatures(
      hostCpuid(kvm.supportedCpuid(), kvm.capability('TSC_DEADLINE_TIMER') !== 0),
      choice,
    );
  } catch {
    return null;
  } finally {
    fds.forEach(close);
  }
}
