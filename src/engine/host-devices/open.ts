import { closeSync } from 'node:fs';
import { HostRoot } from '../../host/root.ts';
import { sentenceList } from '../../host/text.ts';
import { type Holder, holdersOf, uniqueHolders } from '../../host/use/holders.ts';
import { readOpenFiles } from '../../host/use/open-files.ts';
import { isVfioDriver } from '../../host/vfio/read.ts';
import { codeText } from '../../text/errno.ts';
import type { HostDeviceFd } from '../../vmm/machine/messages.ts';
import { O_RDWR, open, SystemError } from '../../vmm/native/libc.ts';
import { deviceName, tryVfioIoctl, vfioIoctl } from '../../vmm/vfio/call.ts';
import {
  IOMMU_OPTION_OP_SET,
  IOMMU_OPTION_RLIMIT_MODE,
  VFIO_API_VERSION,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_NOIOMMU_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '../../vmm/vfio/constants.ts';
import { iommuOption, vfioGroupStatus } from '../../vmm/vfio/structs.ts';
import { closeHostDevices, type OpenedHostDevice } from '../machines/machine.ts';

/** A PCI function requested for a VM. */
export type HostDeviceRequest = {
  /** `0000:01:10.0` */
  readonly address: string;
  /** Forces one of VFIO's two interfaces; default: iommufd if the kernel offers it, else the group's. */
  readonly iommufd?: boolean | undefined;
  /** The token of a VF whose PF is bound to VFIO, too. */
  readonly vfToken?: string | undefined;
  /** Allows opening it without an IOMMU between it and the host's memory. */
  readonly unsafeNoIommu?: boolean | undefined;
};

/** What a machine already has open, for devices that it is given later. */
export type HeldFiles = {
  readonly container: boolean;
  readonly iommufd: boolean;
  /** IOMMU groups. */
  readonly groups: readonly number[];
};

const NOTHING: HeldFiles = { container: false, iommufd: false, groups: [] };

/** Why a device cannot be opened; the message names it, the reason and the next step. */
export class OpenError extends Error {
  override readonly name = 'OpenError';
}

/**
 * Opens devices for one machine, in the order in which it receives them. They must be bound to vfio-pci. The caller
 * closes the fds.
 * @throws OpenError, with nothing left open
 */
export async function openHostDevices(
  requests: readonly HostDeviceRequest[],
  held: HeldFiles = NOTHING,
  root = new HostRoot(),
): Promise<OpenedHostDevice[]> {
  const opener = new Opener(held, root);
  const opened: OpenedHostDevice[] = [];
  try {
    for (const request of requests) opened.push(await opener.open(request));
    return opened;
  } catch (error) {
    closeHostDevices(opened);
    throw error;
  }
}

/** A device as found in sysfs. */
type Found = {
  readonly address: string;
  readonly path: string;
  readonly group: number;
  readonly resetMethods: readonly string[];
  readonly noIommu: boolean;
  /** `/dev/vfio/devices/vfio0`; null if the kernel has no per-device files. */
  readonly cdev: string | null;
};

type OpenFd = OpenedHostDevice['fds'][number];

class Opener {
  readonly #root: HostRoot;
  readonly #groups: Set<number>;
  #hasContainer: boolean;
  #hasIommufd: boolean;

  constructor(held: HeldFiles, root: HostRoot) {
    this.#root = root;
    this.#groups = new Set(held.groups);
    this.#hasContainer = held.container;
    this.#hasIommufd = held.iommufd;
  }

  async open(request: HostDeviceRequest): Promise<OpenedHostDevice> {
    const found = this.#find(request);
    const api = this.#apiFor(found, request);
    const fds: OpenFd[] = [];
    try {
      if (found.noIommu) await this.#openWithoutIommu(found, request, fds);
      else if (api === 'iommufd') await this.#openDevice(found, fds);
      else await this.#openGroup(found, fds);
    } catch (error) {
      for (const { fd } of fds) closeSync(fd);
      throw error;
    }
    // Counts only once the device is open.
    if (!found.noIommu && api === 'iommufd') this.#hasIommufd = true;
    if (!found.noIommu && api === 'group') {
      this.#hasContainer = true;
      this.#groups.add(found.group);
    }
    const { address, group, resetMethods, noIommu } = found;
    const { vfToken } = request;
    return { address, api, group, resetMethods, noIommu, ...(vfToken !== undefined && { vfToken }), fds };
  }

  #find({ address, unsafeNoIommu = false }: HostDeviceRequest): Found {
    const root = this.#root;
    const path = `/sys/bus/pci/devices/${address}`;
    if (!root.exists(path)) throw fail(address, 'there is no such device on this host: see `vring pci list`');
    const driver = nameOf(root.link(`${path}/driver`));
    if (!isVfioDriver(driver)) {
      const has = driver === null ? 'it has no driver' : `the host's driver ${driver} has it`;
      throw fail(address, `${has}: bind it to vfio-pci with \`vring vfio bind ${address}\``);
    }
    const group = nameOf(root.link(`${path}/iommu_group`));
    if (group === null || !/^\d+$/.test(group)) {
      throw fail(
        address,
        'it is not behind an IOMMU: turn on VT-d or AMD-Vi in the firmware, and add intel_iommu=on (Intel) to the kernel command line',
      );
    }
    const noIommu = root.attribute(`${path}/iommu_group/name`) === 'vfio-noiommu';
    if (noIommu && !unsafeNoIommu) {
      throw fail(
        address,
        'it is not behind an IOMMU, so it could read and write all host memory: turn one on, or, if the guest may do that, set unsafe-no-iommu',
      );
    }
    const cdev = root.list(`${path}/vfio-dev`)?.[0];
    const file = cdev === undefined ? null : `/dev/vfio/devices/${cdev}`;
    return {
      ...{ address, path, noIommu },
      group: Number(group),
      resetMethods: (root.attribute(`${path}/reset_method`) ?? '').split(' ').filter(method => method !== ''),
      cdev: file !== null && root.exists(file) ? file : null,
    };
  }

  #apiFor({ address, cdev, noIommu }: Found, { iommufd }: HostDeviceRequest): 'group' | 'iommufd' {
    const hasIommufd = cdev !== null && this.#root.exists('/dev/iommu');
    if (noIommu || iommufd === false) return 'group';
    if (iommufd === true && !hasIommufd) {
      const missing =
        cdev === null
          ? `this kernel has no file for each VFIO device (Linux 6.6 or newer with CONFIG_VFIO_DEVICE_CDEV)`
          : 'there is no /dev/iommu: run `modprobe iommufd`';
      throw fail(address, `iommufd was asked for, but ${missing}, or leave the option out`);
    }
    return hasIommufd ? 'iommufd' : 'group';
  }

  /** The kernel lets several processes open a device's file, and only later reports which of them may use it. */
  async #openDevice(found: Found, fds: OpenFd[]): Promise<void> {
    const { address, cdev, group } = found;
    const holders = await this.#holdersOf([cdev!, `/dev/vfio/${group}`]);
    if (holders !== '') throw fail(address, `it is in use by ${holders}: stop that first`);
    const others = this.#hostsMembers(found);
    if (others !== '') throw fail(address, shared(found, others));
    if (!this.#hasIommufd) {
      const fd = await this.#openFile(address, 'iommufd', '/dev/iommu', fds);
      countByProcess(fd);
    }
    await this.#openFile(address, 'device', cdev!, fds);
  }

  async #openGroup(found: Found, fds: OpenFd[]): Promise<void> {
    const { address, group } = found;
    if (!this.#hasContainer) await this.#openContainer(address, VFIO_TYPE1v2_IOMMU, fds);
    if (this.#groups.has(group)) return;
    const fd = await this.#openFile(address, 'group', `/dev/vfio/${group}`, fds);
    this.#checkViable(found, fd);
  }

  /**
   * The container takes no mappings, and every step needs the manager's privileges (CAP_SYS_RAWIO): each device gets
   * its own container, and is opened here.
   */
  async #openWithoutIommu(
    { address, group }: Found,
    { vfToken }: HostDeviceRequest,
    fds: OpenFd[],
  ): Promise<void> {
    const container = await this.#openContainer(address, VFIO_NOIOMMU_IOMMU, fds);
    const fd = await this.#openFile(address, 'group', `/dev/vfio/noiommu-${group}`, fds);
    try {
      const argument = new Uint8Array(new Int32Array([container]).buffer);
      vfioIoctl(fd, 'VFIO_GROUP_SET_CONTAINER', argument);
      vfioIoctl(container, 'VFIO_SET_IOMMU', VFIO_NOIOMMU_IOMMU);
      fds.push({
        kind: 'device',
        fd: vfioIoctl(fd, 'VFIO_GROUP_GET_DEVICE_FD', deviceName(address, vfToken)),
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw fail(
        address,
        `it cannot be opened without an IOMMU, which needs root (CAP_SYS_RAWIO): ${error.message}`,
      );
    }
  }

  async #openContainer(address: string, iommu: number, fds: OpenFd[]): Promise<number> {
    const fd = await this.#openFile(address, 'container', '/dev/vfio/vfio', fds);
    const version = tryVfioIoctl(fd, 'VFIO_GET_API_VERSION');
    if (version !== VFIO_API_VERSION)
      throw fail(
        address,
        `/dev/vfio/vfio has version ${version} of VFIO's interface, but vring needs ${VFIO_API_VERSION}`,
      );
    if (tryVfioIoctl(fd, 'VFIO_CHECK_EXTENSION', iommu) > 0) return fd;
    throw fail(
      address,
      iommu === VFIO_TYPE1v2_IOMMU
        ? 'the kernel has no IOMMU driver for VFIO: run `modprobe vfio_iommu_type1`'
        : 'VFIO does not offer no-IOMMU mode: run `echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode`',
    );
  }

  async #openFile(address: string, kind: HostDeviceFd, path: string, fds: OpenFd[]): Promise<number> {
    try {
      const fd = open(path, O_RDWR);
      fds.push({ kind, fd });
      return fd;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw fail(address, await this.#whyNotOpened(path, error.code));
    }
  }

  async #whyNotOpened(path: string, code: string): Promise<string> {
    switch (code) {
      case 'EBUSY': {
        const holders = await this.#holdersOf([path, ...this.#filesOfGroup(path)]);
        const by = holders === '' ? 'another process' : holders;
        return `${path} is in use by ${by}: stop that first`;
      }
      case 'EACCES':
      case 'EPERM':
        return `this user may not open ${path}: run vring as root, or run \`sudo chown "$USER" ${path}\``;
      case 'ENOENT':
      case 'ENODEV':
      case 'ENXIO':
        return `there is no ${path}: run \`modprobe vfio-pci\`, and bind the device to it again`;
      default:
        return `${path} cannot be opened: ${codeText(code)}`;
    }
  }

  /** Files of a group's devices; the group cannot be opened while one of them is open. */
  #filesOfGroup(path: string): string[] {
    const group = /^\/dev\/vfio\/(\d+)$/.exec(path)?.[1];
    const devices =
      group === undefined ? [] : (this.#root.list(`/sys/kernel/iommu_groups/${group}/devices`) ?? []);
    return devices.flatMap(device => {
      const names = this.#root.list(`/sys/bus/pci/devices/${device}/vfio-dev`) ?? [];
      return names.map(name => `/dev/vfio/devices/${name}`);
    });
  }

  /** The processes that have one of these files open, in words; empty if there are none, or they are not known. */
  async #holdersOf(paths: readonly string[]): Promise<string> {
    const files = await readOpenFiles(this.#root);
    const { byKey } = holdersOf(files, ({ target }) => (paths.includes(target) ? target : null));
    return sentenceList(uniqueHolders([...byKey.values()].flat()).map(nameHolder));
  }

  #checkViable(found: Found, fd: number): void {
    const bytes = vfioGroupStatus.encode({ argsz: vfioGroupStatus.size, flags: 0 });
    if (tryVfioIoctl(fd, 'VFIO_GROUP_GET_STATUS', bytes) < 0) return;
    if ((vfioGroupStatus.read(bytes).flags & VFIO_GROUP_FLAGS_VIABLE) !== 0) return;
    throw fail(found.address, shared(found, this.#hostsMembers(found) || 'a device of the group'));
  }

  /** The devices of its group that are bound to host drivers, in words; empty if there are none. */
  #hostsMembers({ path }: Found): string {
    const others = (this.#root.list(`${path}/iommu_group/devices`) ?? []).flatMap(other => {
      const driver = nameOf(this.#root.link(`/sys/bus/pci/devices/${other}/driver`));
      const isHosts = driver !== null && !isVfioDriver(driver) && !NEUTRAL.has(driver);
      return isHosts ? [`${other} (${driver})`] : [];
    });
    return sentenceList(others);
  }
}

function shared({ address, group }: Found, others: string): string {
  return `its IOMMU group ${group} is shared with ${others}, which the host uses: bind all of the group with \`vring vfio bind --group ${address}\``;
}

/**
 * Drivers whose devices may stay with the host while others of their group are passed through (vfio_main.c,
 * vfio_dev_viable).
 */
const NEUTRAL: ReadonlySet<string> = new Set(['pci-stub', 'pcieport']);

/**
 * Accounts locked memory per process, as VFIO's containers do, rather than per user. Only root can; for other users,
 * one limit then covers all their VMs.
 */
function countByProcess(iommufd: number): void {
  const option = iommuOption.encode({
    size: iommuOption.size,
    option_id: IOMMU_OPTION_RLIMIT_MODE,
    op: IOMMU_OPTION_OP_SET,
    object_id: 0,
    val64: 1n,
  });
  tryVfioIoctl(iommufd, 'IOMMU_OPTION', option);
}

function nameHolder({ vm, command, pid }: Holder): string {
  return vm === undefined ? `${command} (process ${pid})` : `the VM ${vm}`;
}

/** The base name of a link's target. */
function nameOf(target: string | null): string | null {
  return target?.split('/').at(-1) ?? null;
}

function fail(address: string, reason: string): OpenError {
  return new OpenError(`host device ${address}: ${reason}`);
}
