import { kvmIoctl } from '../kvm/call.ts';
import { DEV_TYPE_VFIO, DEV_VFIO_GROUP, DEV_VFIO_GROUP_ADD, DEV_VFIO_GROUP_DEL } from '../kvm/constants.ts';
import { kvmDeviceAttr } from '../kvm/structs.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import { argumentMemory } from '../native/argument-memory.ts';
import { SystemError } from '../native/libc.ts';

/**
 * KVM's device that is notified of the VFIO files of its VM (Documentation/virt/kvm/devices/vfio.rst): for a VM whose
 * devices do not snoop the CPU's caches, KVM emulates instructions that write them back. A kernel without it does not
 * do that, but works otherwise.
 */
export class KvmVfio {
  readonly #vm: Pick<VmFd, 'createDevice'>;
  /** Null if the kernel has none; undefined if not yet known. */
  #fd: number | null | undefined;

  constructor(vm: Pick<VmFd, 'createDevice'>) {
    this.#vm = vm;
  }

  /** @param file of a group, or of a device that is not bound yet. @throws SystemError */
  add(file: number): void {
    this.#fd = this.#fd === undefined ? this.#create() : this.#fd;
    if (this.#fd !== null) setFile(this.#fd, DEV_VFIO_GROUP_ADD, file);
  }

  /** Call it before the file is closed: KVM keeps it open. Does nothing if it was not added. */
  remove(file: number): void {
    if (this.#fd === null || this.#fd === undefined) return;
    try {
      setFile(this.#fd, DEV_VFIO_GROUP_DEL, file);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== 'ENOENT') throw error;
    }
  }

  #create(): number | null {
    try {
      return this.#vm.createDevice(DEV_TYPE_VFIO);
    } catch (error) {
      if (error instanceof SystemError && (error.code === 'ENODEV' || error.code === 'EINVAL')) return null;
      throw error;
    }
  }
}

function setFile(fd: number, attribute: number, file: number): void {
  const memory = argumentMemory();
  memory.view.setInt32(0, file, true);
  const value = { flags: 0, group: DEV_VFIO_GROUP, attr: BigInt(attribute), addr: memory.address };
  kvmIoctl(fd, 'KVM_SET_DEVICE_ATTR', kvmDeviceAttr.encode(value));
}
