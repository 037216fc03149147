import { Kvm } from '../kvm/kvm.ts';
import type { CpuidEntry } from '../kvm/structs.ts';
import { close } from '../native/libc.ts';
import { hostCpuid } from './cpuid.ts';
import { type CpuFeatures, featuresOf } from './cpuid-features.ts';
import { type CpuChoice, missingFeatures } from './model-cpuid.ts';

/** The features of a choice that KVM on this host can't offer; null if there is no usable KVM. */
export function featuresMissingHere(choice: CpuChoice): string[] | null {
  const host = hostOffer();
  return host && missingFeatures(host, choice);
}

/**
 * The features that another host must offer for a guest with this CPUID to continue there: those that KVM offers here.
 * Some KVMs show a guest more than they offer.
 */
export function neededFeatures(cpuid: readonly CpuidEntry[], kvm: Kvm): CpuFeatures {
  const { vendor, features } = featuresOf(cpuid);
  const offered = new Set(featuresOf(offerOf(kvm)).features);
  return { vendor, features: features.filter(feature => offered.has(feature)) };
}

function offerOf(kvm: Kvm): CpuidEntry[] {
  return hostCpuid(kvm.supportedCpuid(), kvm.capability('TSC_DEADLINE_TIMER') !== 0);
}

/** Everything that KVM on this host can offer a guest; null if there is no usable KVM. */
export function featuresHere(): CpuFeatures | null {
  const host = hostOffer();
  return host && featuresOf(host);
}

function hostOffer(): CpuidEntry[] | null {
  const fds: number[] = [];
  const ownFd = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  try {
    return offerOf(Kvm.open({ ownFd, ownMap: () => {}, closeFd: close }));
  } catch {
    return null;
  } finally {
    fds.forEach(close);
  }
}
