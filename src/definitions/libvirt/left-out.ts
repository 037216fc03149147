import { own } from '../../text/own.ts';

const ONLY_LIBVIRT = 'it only concerns the programs that manage the domain';
const HOST_PLACES = 'the host places vCPUs, threads and memory';
const NO_LIMIT = 'limit the VM by its cgroup, or by systemd';
const NO_SOUND = 'this version has no sound';
const NO_HOTPLUG = 'memory cannot be added while the guest runs';
const NO_CHANNEL = 'it is a channel to a host program, such as a client of SPICE';
const NO_SHARE = 'shared folders are not supported yet: share files over the network, or on a disk';
const OWN_MAPPING = 'vring chooses how guest RAM is mapped';
const OWN_QUEUES = 'vring chooses how data is transferred';
const OWN_FEATURES = 'vring chooses the features of its devices';
const OF_CONTAINERS = 'it only concerns containers';
const KVM_DECIDES = 'KVM decides it';
const ONE_DIRECTION = 'limits hold for reads and writes together: use total_iops_sec and total_bytes_sec';
const NO_ENCRYPTED_MEMORY = 'this version has no encrypted guest memory';

/** Why elements and attributes are left out, by their paths in the domain; `*` stands for the rest of a name. */
const REASONS: Readonly<Record<string, string>> = {
  metadata: ONLY_LIBVIRT,
  genid: 'snapshots are not supported yet',
  resource: ONLY_LIBVIRT,
  seclabel: 'the processes of VMs are always confined',
  'devices/disk/source/seclabel': 'the processes of VMs are always confined',
  'devices/*/seclabel': 'the processes of VMs are always confined',
  perf: ONLY_LIBVIRT,
  keywrap: 'no PC has such keys',
  on_lockfailure: 'disks are always locked',
  'devices/lease': 'disks are always locked',
  'devices/disk@snapshot': ONLY_LIBVIRT,
  'devices/disk@model': OWN_FEATURES,
  'devices/disk@rawio': OWN_FEATURES,
  'devices/disk@sgio': OWN_FEATURES,
  'devices/disk/source@startupPolicy': 'a VM only starts if its disks are there',
  'devices/disk/source@mode': 'a disk is a block device',
  'devices/disk/checksum': ONLY_LIBVIRT,
  'devices/disk/mirror': ONLY_LIBVIRT,
  'devices/disk/shareable': 'disks are always locked: attach one that several VMs use read-only',
  'devices/disk/wwn': 'disks are identified by their serial numbers',
  'devices/disk/vendor': 'the disk model is fixed',
  'devices/disk/product': 'the disk model is fixed',
  'devices/disk/geometry': 'disks are addressed by block',
  'devices/disk/blockio*': 'disks have blocks of 512 bytes',
  'devices/disk/target@rotation_rate': OWN_FEATURES,
  'devices/disk/target@removable': OWN_FEATURES,
  'devices/disk/target@tray': 'the tray is closed',
  'devices/disk/throttlefilters': 'each disk has limits of its own',
  'devices/disk/iotune/read_*': ONE_DIRECTION,
  'devices/disk/iotune/write_*': ONE_DIRECTION,
  'devices/disk/iotune/*_length': 'a burst lasts as long as its tokens',
  'devices/disk/iotune/size_iops_sec': 'each request counts once',
  'devices/disk/iotune/group_name': 'each disk has limits of its own',
  'devices/disk/driver@*': OWN_QUEUES,
  'devices/disk/driver/*': OWN_QUEUES,
  'devices/controller/driver@*': OWN_QUEUES,
  'devices/interface/driver@*': OWN_QUEUES,
  'devices/interface/tune': OWN_QUEUES,
  'devices/interface/coalesce': OWN_QUEUES,
  'devices/interface/backend*': OWN_QUEUES,
  'devices/interface/vlan': 'frames of the card are not tagged: attach it to a bridge of that VLAN',
  'devices/interface/virtualport':
    'vring attaches cards to bridges of the kernel, not to ports of Open vSwitch or of a VEPA',
  'devices/interface/filterref': "the card's frames are not filtered: use nftables on the host",
  'devices/interface/port@isolated': 'the port is not isolated: use bridge link set on the host',
  'devices/interface/bandwidth': 'there are no limits in it',
  'devices/interface/ip': 'the guest chooses its addresses',
  'devices/interface/route': 'the guest chooses its routes',
  'devices/interface/guest': OF_CONTAINERS,
  'devices/interface/teaming': 'guests have no standby card to fail over to',
  'devices/interface@trustGuestRxFilters': OWN_FEATURES,
  'devices/interface/acpi': 'guests name interfaces after their slots',
  'devices/video/acceleration': 'there is no 3D',
  'devices/redirdev': NO_CHANNEL,
  'devices/redirfilter': NO_CHANNEL,
  'devices/smartcard': 'there are no smart cards',
  'devices/sound': NO_SOUND,
  'devices/audio': NO_SOUND,
  'devices/filesystem': NO_SHARE,
  'devices/vsock':
    'sockets between guest and host (vsock) are not supported yet: use the network, or a <channel>',
  'devices/iommu': 'virtual IOMMUs are not supported yet',
  'devices/shmem': 'memory shared between guests is not supported',
  'devices/crypto': 'there are no virtio crypto devices',
  'devices/hub': 'USB devices are on an xHCI controller, which vring creates for them',
  'devices/nvram': 'no PC has it',
  'devices/memory': 'memory is part of the size of guest RAM, from the start',
  'devices/controller': 'vring creates bridges and controllers as devices need them',
  'devices/pstore': 'there is no persistent storage for crashes',
  maxMemory: NO_HOTPLUG,
  'memory@dumpCore': 'core dumps never contain guest RAM',
  memtune: NO_LIMIT,
  numatune: HOST_PLACES,
  blkiotune: NO_LIMIT,
  iothreads: 'each queue has its own thread',
  iothreadids: 'each queue has its own thread',
  defaultiothread: 'each queue has its own thread',
  throttlegroups: 'each disk has limits of its own',
  'vcpu@cpuset': HOST_PLACES,
  'vcpu@placement': HOST_PLACES,
  vcpus: 'the first vCPUs are present at the start, and others can be added: it has as many as current says',
  'cputune/shares': NO_LIMIT,
  'cputune/*period': NO_LIMIT,
  'cputune/*quota': NO_LIMIT,
  'cputune/period': NO_LIMIT,
  'cputune/quota': NO_LIMIT,
  'cputune/emulatorpin': HOST_PLACES,
  'cputune/iothreadpin': HOST_PLACES,
  'cputune/*sched': HOST_PLACES,
  'cputune/cachetune': HOST_PLACES,
  'cputune/memorytune': HOST_PLACES,
  'memoryBacking/locked': 'guest RAM is not locked, unless a device is passed through',
  'memoryBacking/source': OWN_MAPPING,
  'memoryBacking/access': OWN_MAPPING,
  'memoryBacking/allocation':
    'guest RAM is allocated when the guest first uses it; huge pages are reserved at the start',
  'memoryBacking/discard': 'guest RAM is never kept',
  'memoryBacking/hugepages/page@nodeset': 'all of guest RAM has one page size',
  'os/init*': OF_CONTAINERS,
  'os/idmap': OF_CONTAINERS,
  'os/shim': 'the kernel is not checked by Secure Boot',
  'os/dtb': 'a PC has no device tree',
  'os/acpi': 'vring creates the ACPI tables itself',
  'os/firmware': 'vring chooses firmware that does without SMM',
  'os/loader@*': 'vring chooses firmware that does without SMM',
  'os/bootmenu@*': 'it only concerns firmware',
  'features/hyperv': 'vring offers no Hyper-V enlightenments; Windows runs without them',
  'features/kvm/*': KVM_DECIDES,
  'features/vmport': 'this version has none',
  'features/ps2': 'every guest has a PS/2 keyboard and mouse',
  'features/smm': 'VMs have no SMM: vring takes firmware that does without',
  'features/vmcoreinfo': 'it only concerns memory dumps',
  'features/hpt': 'no PC has it',
  'features/*': KVM_DECIDES,
  'cpu/vendor': 'it comes from the CPU model',
  'cpu/cache': "the guest sees the host CPU's caches, shared according to the topology",
  'cpu/maxphysaddr': "the guest sees the host CPU's value",
  'cpu/model@vendor_id': 'it comes from the CPU model',
  'clock/timer': "KVM's timers keep up by themselves",
  'clock/timer@*': "KVM's timers keep up by themselves",
  'clock@*': "a guest's clock shows UTC, the local time of the host, or an absolute time",
  launchSecurity: NO_ENCRYPTED_MEMORY,
  'qemu:commandline': 'options of QEMU are not read: vring vm create NAME -- OPTIONS takes them',
  'qemu:override': 'options of QEMU are not read: vring vm create NAME -- OPTIONS takes them',
  'qemu:capabilities': 'it only concerns QEMU itself',
  'qemu:deprecation': 'it only concerns QEMU itself',
  sysinfo: "the guest is not told: <os> has no <smbios mode='sysinfo'/>",
  'sysinfo/*': 'SMBIOS has no such entry in vring',
};

const PATTERNS = Object.keys(REASONS)
  .filter(key => key.includes('*'))
  .map(key => ({
    pattern: new RegExp(`^${key.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/@]*')}$`),
    reason: REASONS[key]!,
  }));

/**
 * Why an element or attribute is left out of a definition; null if vring does not know it.
 * @param path `domain/devices/sound`
 */
export function reasonFor(path: string): string | null {
  const inside = path.replace(/^domain\//, '');
  return own(REASONS, inside) ?? PATTERNS.find(({ pattern }) => pattern.test(inside))?.reason ?? null;
}
