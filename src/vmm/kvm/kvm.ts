import { readFileSync } from 'node:fs';
import { codeText } from '../../text/errno.ts';
import { close, O_RDWR, open, SystemError } from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { getCpuid, kvmIoctl } from './call.ts';
import { API_VERSION, CAP, type CapName } from './constants.ts';
import { type CpuidEntry, kvmMsrList } from './structs.ts';
import { VmFd } from './vm-fd.ts';

/** KVM can't be used or lacks a feature; the message includes the next step. */
export class KvmError extends Error {
  override readonly name = 'KvmError';
}

/** Capabilities that every machine needs: KVM on x86-64 has them since Linux 4.12. */
const REQUIRED: readonly CapName[] = [
  'IRQCHIP',
  'USER_MEMORY',
  'SET_TSS_ADDR',
  'EXT_CPUID',
  'MP_STATE',
  'IRQ_ROUTING',
  'IRQFD',
  'PIT2',
  'PIT_STATE2',
  'IOEVENTFD',
  'IOEVENTFD_ANY_LENGTH',
  'SET_IDENTITY_MAP_ADDR',
  'ADJUST_CLOCK',
  'VCPU_EVENTS',
  'DEBUGREGS',
  'XSAVE',
  'SIGNAL_MSI',
  'READONLY_MEM',
  'IMMEDIATE_EXIT',
];

/** More than any kernel lists. */
const MAX_MSRS = 1024;

/** The open /dev/kvm. */
export class Kvm {
  readonly fd: number;
  /** Bytes of each vCPU's shared pages. */
  readonly runSize: number;
  readonly #owner: ResourceOwner;
  #supportedCpuid: readonly CpuidEntry[] | null = null;

  private constructor(fd: number, owner: ResourceOwner) {
    this.fd = fd;
    this.#owner = owner;
    this.runSize = kvmIoctl(fd, 'KVM_GET_VCPU_MMAP_SIZE');
  }

  /** @throws KvmError with the next step if there is no usable KVM */
  static open(owner: ResourceOwner, path = '/dev/kvm'): Kvm {
    const fd = openKvmDevice(path);
    try {
      checkInterface(fd, path);
    } catch (error) {
      close(fd);
      throw error;
    }
    return new Kvm(owner.ownFd(fd), owner);
  }

  /** The result of KVM_CHECK_EXTENSION: 0 if the capability is missing, otherwise 1 or a capability-specific value. */
  capability(name: CapName): number {
    return checkExtension(this.fd, name);
  }

  /** Most vCPUs of one VM. */
  get maxVcpus(): number {
    return this.capability('MAX_VCPUS') || this.capability('NR_VCPUS') || 4;
  }

  /** The CPUID that KVM can offer a guest on this host (KVM_GET_SUPPORTED_CPUID). */
  supportedCpuid(): readonly CpuidEntry[] {
    this.#supportedCpuid ??= getCpuid(this.fd, 'KVM_GET_SUPPORTED_CPUID');
    return this.#supportedCpuid;
  }

  /** The MSRs that make up a vCPU's state (KVM_GET_MSR_INDEX_LIST). */
  msrIndices(): number[] {
    const bytes = new Uint8Array(kvmMsrList.size + MAX_MSRS * 4);
    kvmMsrList.write(bytes, { nmsrs: MAX_MSRS });
    kvmIoctl(this.fd, 'KVM_GET_MSR_INDEX_LIST', bytes);
    const { nmsrs } = kvmMsrList.read(bytes);
    return Array.from(new Uint32Array(bytes.buffer, kvmMsrList.size, nmsrs));
  }

  createVm(): VmFd {
    try {
      return new VmFd(this.#owner.ownFd(kvmIoctl(this.fd, 'KVM_CREATE_VM')), this.runSize, this.#owner);
    } catch (error) {
      if (error instanceof SystemError && error.code === 'EBUSY') {
        throw new KvmError(
          'KVM cannot start a VM because another hypervisor uses the CPU: stop it (VirtualBox, VMware) and try again',
        );
      }
      throw error;
    }
  }
}

/** @throws KvmError with the next step if it cannot be opened */
function openKvmDevice(path: string): number {
  try {
    return open(path, O_RDWR);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new KvmError(openAdvice(path, error.code, readCpuFlags()));
  }
}

/** Why `path` could not be opened and the next step, in a sentence. `flags` are the CPU's, as in /proc/cpuinfo. */
export function openAdvice(path: string, code: string, flags: ReadonlySet<string>): string {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `no permission for ${path}: run \`sudo usermod -aG kvm $USER\`, then log in again`;
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO': {
      const module = flags.has('vmx') ? 'kvm_intel' : flags.has('svm') ? 'kvm_amd' : null;
      if (module !== null) return `there is no ${path}: load KVM with \`sudo modprobe ${module}\``;
      return (
        `there is no ${path} and this CPU shows no virtualization: turn on VT-x or AMD-V in the firmware setup ` +
        '(in a VM: nested virtualization on its host), then load kvm_intel or kvm_amd'
      );
    }
    default:
      return `${path} cannot be opened: ${codeText(code)}`;
  }
}

function readCpuFlags(): Set<string> {
  const line = readFileSync('/proc/cpuinfo', 'utf8').match(/^flags\s*:(.*)$/m);
  return new Set(line?.[1]?.trim().split(/\s+/) ?? []);
}

function checkInterface(fd: number, path: string): void {
  let version: number;
  try {
    version = kvmIoctl(fd, 'KVM_GET_API_VERSION');
  } catch {
    throw new KvmError(`${path} is not KVM: it does not respond to KVM_GET_API_VERSION`);
  }
  if (version !== API_VERSION) {
    throw new KvmError(
      `${path} has version ${version} of KVM's API, but vring needs ${API_VERSION}: use a current Linux kernel`,
    );
  }
  const missing = REQUIRED.filter(name => checkExtension(fd, name) === 0);
  if (missing.length > 0) {
    const names = missing.map(name => `KVM_CAP_${name}`).join(', ');
    throw new KvmError(`this kernel's KVM lacks ${names}: use Linux 4.12 or later on x86-64`);
  }
}

function checkExtension(fd: number, name: CapName): number {
  return kvmIoctl(fd, 'KVM_CHECK_EXTENSION', CAP[name]);
}
