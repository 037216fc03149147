/**
 * What crosses the C ABI of native/: made from native/src by `npm run abi`, and not to be edited. A test fails when it is not up to date.
 */
import { Struct } from '../kvm/c-struct.ts';

/** The version of all this and of the functions. */
export const ABI_VERSION = 19;

/** Kinds of events. */
export const EVENT = {
  /** vCPU `index` left KVM with exit reason `data` and waits for an answer. */
  exit: 1,
  /** The fd watched with token `data` is readable; `aux` is the count of a drained eventfd. */
  fd: 2,
  /** vCPU `index` is out of KVM, with no exit open. */
  parked: 3,
  /** The thread of vCPU `index` ended: `data` is KVM_RUN's errno or 0, `aux` 1 when it died. */
  vcpuEnded: 4,
  /** Queue `index` is no longer served: `data` is 1 if the driver violated the protocol, 2 if the thread died. */
  queueBroken: 5,
  /** Queue `index` has new kinds of disk errors. */
  diskErrors: 6,
  /** The thread of queue `index`, which was asked to stop, has ended: `vring_queue_stop` has its position. */
  queueEnded: 7,
} as const;

/** What the buffers of a balloon's queue are. */
export const BALLOON_ROLE = {
  /** Numbers of pages that the guest gives to the host. */
  inflate: 0,
  /** Numbers of pages that it takes back. */
  deflate: 1,
  /** Free pages themselves, which stay the guest's. */
  report: 2,
} as const;

/** Bits of `ImageConfig::flags`. */
export const IMAGE_FLAG = {
  readonly: 1,
  /** The backing store can deallocate space. */
  discard: 2,
  /** Nothing is made durable. */
  volatile: 4,
  /** Every write is durable when it completes. */
  writeThrough: 8,
  /** Zeros that are written are zeroed ranges. */
  detectZeroes: 16,
  /** And their space is deallocated. */
  unmapZeroes: 32,
} as const;

/** Values of `access` in `DiskErrors`. */
export const DISK_ACCESS = {
  read: 0,
  write: 1,
  flush: 2,
  discard: 3,
  writeZeroes: 4,
} as const;

/** Bits of `ScsiUnitConfig::flags`. */
export const SCSI_UNIT_FLAG = {
  /** A CD drive; else a disk. */
  cd: 1,
  removable: 2,
  /** It says that it heeds the bits DPO and FUA. */
  dpofua: 4,
  /** Its write cache is on after a reset. */
  writeCache: 8,
} as const;

/** Bits of `ScsiUnitState::flags`. */
export const SCSI_UNIT_STATE = {
  writeCache: 1,
  descriptorSense: 2,
  trayOpen: 4,
  /** The driver prevents removal of the medium. */
  locked: 8,
  /** The driver has subscribed to media events. */
  subscribed: 16,
} as const;

/** What kind of a controller's queues one is. */
export const SCSI_QUEUE = {
  control: 0,
  events: 1,
  requests: 2,
} as const;

/** Bits of `FilterConfig::flags`. */
export const FILTER_FLAG = {
  promiscuous: 1,
  allMulticast: 2,
  allUnicast: 4,
  noMulticast: 8,
  noUnicast: 16,
  noBroadcast: 32,
  /** Frames of VLANs are passed on only if their number's bit is set. */
  vlans: 64,
} as const;

/** What is made of a failed request. */
export const ERROR_ACTION = {
  /** The guest gets an error. */
  report: 0,
  /** The guest gets no error. */
  ignore: 1,
  /** The VM is paused, and the request carried out again when it continues. */
  stop: 2,
  /** Stop if the host has no space left, else report. */
  enospc: 3,
} as const;

/** What comes before the first vCPU block. */
export const COUNTERS_HEADER = {
  words: 8,
} as const;

/** Word offsets in a vCPU block. */
export const VCPU = {
  /** 64 words: exits to user space by KVM_EXIT_* reason (linux/kvm.h). */
  exits: 0,
  /** 64 words: nanoseconds from that exit until the vCPU entered KVM again. */
  exitNs: 64,
  /** Nanoseconds inside KVM_RUN (the guest and KVM together). */
  runNs: 128,
  /** Nanoseconds outside KVM_RUN, waiting for a device model. */
  deviceNs: 129,
  /** KVM_RUN calls. */
  entries: 130,
  /** Linux thread id, in the machine's own PID namespace. */
  tid: 131,
  /** A `VCPU_STATE` value. */
  state: 132,
  /** KVM_RUN returns with EINTR: kicks. */
  kicks: 133,
  /** 32 words: exits by the time to their answer; word i counts [2^i, 2^(i+1)) ns. */
  latency: 160,
  words: 256,
} as const;

/** Values of a vCPU block's state word. */
export const VCPU_STATE = {
  new: 0,
  running: 1,
  parked: 2,
  waiting: 3,
  stopped: 4,
} as const;

/** Word offsets in a virtqueue block. */
export const QUEUE = {
  /** Notifications received from the driver. */
  kicks: 0,
  /** Interrupts sent to the driver. */
  interrupts: 1,
  /** Interrupts that EVENT_IDX or NO_INTERRUPT suppressed. */
  interruptsSuppressed: 2,
  /** Descriptor chains taken from the avail ring. */
  requests: 3,
  /** Bytes moved from the device to the guest. */
  bytesToGuest: 4,
  /** Bytes moved from the guest to the device. */
  bytesFromGuest: 5,
  /** Chains taken and not yet returned. */
  inFlight: 6,
  /** Requests answered with an error. */
  errors: 7,
  /** Times the avail ring had work; requests / batches is the mean batch. */
  batches: 8,
  /** Batches found without a kick: EVENT_IDX or NO_NOTIFY suppressed it. */
  kicksSuppressed: 9,
  /** The highest `inFlight` so far. */
  maxInFlight: 10,
  /** Nanoseconds from taken to returned, summed over all requests; divided by elapsed nanoseconds, the mean number in flight. */
  latencyNs: 11,
  /** Requests that failed on the host's disk; `errors` counts them too, and what the device refuses. */
  diskErrors: 12,
  /** Id of the queue that the block counts; 0 in a free block. */
  id: 13,
  /** Times that a rate limit made the queue wait. */
  throttled: 14,
  /** Nanoseconds that requests waited in the ring because of one. */
  throttledNs: 15,
  /** 32 words: requests by the time from taken to returned; word i counts [2^i, 2^(i+1)) ns. */
  latency: 16,
  /** Frames of a network card that were not passed on: filtered, refused, or lost on the host. */
  dropped: 48,
  words: 64,
} as const;

/** One event, as JavaScript reads it (24 bytes). */
export const eventStruct = new Struct('Event', {
  kind: 'u32',
  /** vCPU index or queue handle. */
  index: 'u32',
  data: 'u64',
  aux: 'u64',
});

/** What a machine thread and `vring_wait` pass each other: a wait is one call without arguments. */
export const waitPageStruct = new Struct('WaitPage', {
  /** How long it waits at most; all ones: forever. */
  timeoutNs: 'u64',
  /** And until when, on CLOCK_MONOTONIC; all ones: forever. */
  deadlineNs: 'u64',
  /** One more than the index of a vCPU whose open exit has been answered in its `kvm_run` page; 0: of none. */
  answered: 'u32',
  unused: 'u32',
  /** Out: how long that answer took. */
  answerNs: 'u64',
  /** Out. */
  events: { array: eventStruct, length: 64 },
});

/** One region of RAM, as passed by JavaScript. */
export const regionStruct = new Struct('Region', {
  /** Guest-physical start. */
  gpa: 'u64',
  size: 'u64',
  /** Its address in this process. */
  host: 'u64',
  /** Where the log of its block is in this process; 0 if it has none. */
  log: 'u64',
  /** Where the region starts in its block, in bytes. */
  offset: 'u64',
  /** 1 if it can only be read; else 0. */
  readonly: 'u64',
  /** What gives its pages back to the host: MADV_REMOVE or MADV_DONTNEED of madvise(2); 0: nothing does. */
  discard: 'u64',
});

/** A queue to serve, as passed by JavaScript. */
export const queueConfigStruct = new Struct('QueueConfig', {
  /** Guest-physical addresses of the descriptor area, the driver area and the device area. */
  descriptors: 'u64',
  available: 'u64',
  used: 'u64',
  /** Negotiated feature bits. */
  features: 'u64',
  kickFd: 's32',
  callFd: 's32',
  /** Entries of the queue. */
  size: 'u32',
  /** Of its counters; all ones: nobody reads them. */
  counterSlot: 'u32',
  /** Where it continues, as `QueueProgress` has it. */
  lastAvail: 'u16',
  usedIndex: 'u16',
  reserved: 'u32',
  /**
   * Memory that is no guest's, and that no other queue reaches: what a model on the machine thread has its ring in. Its size is 0 if
   * there is none. It stays mapped at `own_host` until the thread has ended.
   */
  ownGpa: 'u64',
  ownSize: 'u64',
  ownHost: 'u64',
});

/**
 * How far a queue thread has got, as JavaScript reads it.
 *
 * In a split ring both indices are free-running. In a packed one each has the index of a descriptor in bits 0 to 14 and the wrap
 * counter in bit 15, as vhost has it: 0x8000 at first.
 *
 * The chains that were taken and not returned are bytes of their own. In a split ring: the 16-bit index of each one's head. In a
 * packed ring, in which used descriptors may have overwritten them: each one's descriptors, 16 bytes each as they were in the
 * ring; of an indirect one, that which points to its table.
 */
export const queueProgressStruct = new Struct('QueueProgress', {
  lastAvail: 'u16',
  usedIndex: 'u16',
  /** Bytes that tell of unfinished chains. */
  unfinishedBytes: 'u32',
});

/** What a virtio-blk queue serves, as passed by JavaScript. */
export const blkConfigStruct = new Struct('BlkConfig', {
  /** Handle of the image. */
  image: 'u32',
  /** Handle of the limiter that all queues of the disk share; -1 for none. */
  limiter: 's32',
  /**
   * The limits of a request that the config space advertises (§5.2.4): `seg_max`; `max_discard_seg` and
   * `max_write_zeroes_seg`; `max_discard_sectors` and `max_write_zeroes_sectors`.
   */
  maxSegments: 'u32',
  maxRanges: 'u32',
  maxRangeSectors: 'u32',
  /** What VIRTIO_BLK_T_GET_ID returns. */
  serial: { array: 'u8', length: 20 },
});

/** What a virtio-rng queue serves, as passed by JavaScript. */
export const rngConfigStruct = new Struct('RngConfig', {
  /** Handle of the limiter; -1 for none. */
  limiter: 's32',
});

/** A logical unit, as passed by JavaScript. Texts are ASCII, padded with spaces; the serial number with zeros. */
export const scsiUnitConfigStruct = new Struct('ScsiUnitConfig', {
  /** NAA identifiers of the unit and of its port; 0 for none. */
  wwn: 'u64',
  portWwn: 'u64',
  /** Target in bits 16 to 23, logical unit number in bits 0 to 13. */
  address: 'u32',
  /** `scsi_unit_flag` bits. */
  flags: 'u32',
  /** Bytes: of a logical block, a power of two from 512; of a physical one, at least as many; and for transfers, 0 if not known. */
  logicalBlock: 'u32',
  physicalBlock: 'u32',
  minIo: 'u32',
  optimalIo: 'u32',
  /** 0: not reported; 1: does not rotate; else turns per minute. */
  rotationRate: 'u32',
  /** The block of a queue in which its commands are counted; `NO_COUNTERS` for none. */
  counterSlot: 'u32',
  vendor: { array: 'u8', length: 8 },
  product: { array: 'u8', length: 16 },
  revision: { array: 'u8', length: 4 },
  serial: { array: 'u8', length: 36 },
});

/** What a logical unit has of state, as JavaScript reads and writes it. */
export const scsiUnitStateStruct = new Struct('ScsiUnitState', {
  /** What the driver is to be told, as the unit's own bits. */
  attentions: 'u32',
  /** A code of the unit's own. */
  mediaEvent: 'u32',
  /** `scsi_unit_state` bits. */
  flags: 'u32',
});

/** What a queue of a network card serves, as passed by JavaScript. */
export const netConfigStruct = new Struct('NetConfig', {
  /** Handle of its wire. */
  wire: 'u32',
  /** The number of its queue pair. */
  pair: 'u32',
  /** 1: it transmits; 0: it receives. */
  transmits: 'u32',
});

/** A wire, as passed by JavaScript; its fds are an array of their own. */
export const wireConfigStruct = new Struct('WireConfig', {
  fds: 'u32',
  /** 1 if frames have a virtio_net_hdr in front; else 0. */
  header: 'u32',
  /** The eventfd to signal when nobody is at the other end any more. */
  noticeFd: 's32',
  /** Memory that carries the frames in place of the file, which then wakes (frame_ring.rs); -1: none. */
  memoryFd: 's32',
  /** The eventfd that says that there is room in it. */
  roomFd: 's32',
});

/** Which frames a card receives, as passed by JavaScript; its addresses are bytes of their own, 6 each, unicast first. */
export const filterConfigStruct = new Struct('FilterConfig', {
  /** `filter_flag` bits. */
  flags: 'u32',
  unicast: 'u32',
  multicast: 'u32',
  reserved: 'u32',
  /** Bit n % 64 of word n / 64: frames of VLAN n. */
  vlans: { array: 'u64', length: 64 },
});

/** What a virtio-balloon queue serves, as passed by JavaScript. */
export const balloonConfigStruct = new Struct('BalloonConfig', {
  /** A `balloon_role` value. */
  role: 'u32',
});

/** A disk image, as passed by JavaScript. */
export const imageConfigStruct = new Struct('ImageConfig', {
  /** Bytes. */
  capacity: 'u64',
  fd: 's32',
  /** `image_flag` bits. */
  flags: 'u32',
});

/** A file of an image's chain, as passed by JavaScript. */
export const chainFileStruct = new Struct('ChainFile', {
  fd: 's32',
  /** 1 for qcow2, 0 for raw. */
  qcow2: 'u32',
});

/** How the image is allocated from some byte on. */
export const allocationStruct = new Struct('Allocation', {
  /** For so many bytes the answer is the same. */
  bytes: 'u64',
  /** 1 if there is storage; 0 if they read as zeros because there is none. */
  allocated: 'u64',
});

/** Rates per second, 0 for no limit, and what may be done at once after a pause, 0 for a tenth of a second's worth. */
export const rateLimitsStruct = new Struct('RateLimits', {
  operations: 'u64',
  operationsBurst: 'u64',
  bytes: 'u64',
  bytesBurst: 'u64',
});

/** Errors of one kind, as JavaScript reads them. */
export const diskErrorsStruct = new Struct('DiskErrors', {
  /** Of the first one. */
  sector: 'u64',
  /** Requests. */
  count: 'u64',
  access: 'u32',
  errno: 's32',
  /** Which of the queue's disks; 0 where it has one. */
  disk: 'u32',
});

/** Rlimit. */
export const rlimitStruct = new Struct('Rlimit', {
  /** RLIMIT_x. */
  resource: 'u64',
  soft: 'u64',
  hard: 'u64',
});

/** As JavaScript fills it in. */
export const spawnOptionsStruct = new Struct('SpawnOptions', {
  flags: 'u32',
  argc: 'u32',
  envc: 'u32',
  fds: 'u32',
  rlimitCount: 'u32',
  cgroupFd: 's32',
  /** 0, 1 and 2 of the process. */
  stdio: { array: 's32', length: 3 },
  rlimits: { array: rlimitStruct, length: 8 },
});

/** What became of it, for JavaScript. */
export const spawnReportStruct = new Struct('SpawnReport', {
  pid: 's32',
  pidfd: 's32',
  step: 'u32',
  errno: 's32',
  /** By `Layer`: 0 if it is on, OFF, or why it is unavailable. */
  outcome: { array: 's32', length: 9 },
});

/** As JavaScript fills it in. */
export const confineOptionsStruct = new Struct('ConfineOptions', {
  flags: 'u32',
  uid: 'u32',
  gid: 'u32',
  /** Where a forbidden system call is reported before it ends the process; -1: nowhere. */
  reportFd: 's32',
  /** How many paths stay open. */
  paths: 'u32',
  rlimitCount: 'u32',
  rlimits: { array: rlimitStruct, length: 8 },
});

/** ConfineReport. */
export const confineReportStruct = new Struct('ConfineReport', {
  /** By `Layer`: 0 if it is on, -1 if it was not asked for, or the errno that it failed with. */
  outcome: { array: 's32', length: 7 },
  /** Landlock's ABI version; 0 without it. */
  landlockAbi: 's32',
});

/** MemoryRange. */
export const memoryRangeStruct = new Struct('MemoryRange', {
  /** Where it is in this process. */
  host: 'u64',
  /** Where it is in the file. */
  offset: 'u64',
  size: 'u64',
});

/** One file to write or verify. Its fds are open when the job starts, and duplicated then; -1 where there is none. */
export const jobPartStruct = new Struct('JobPart', {
  action: 'u32',
  flags: 'u32',
  sourceFd: 's32',
  targetFd: 's32',
  /** The file of the checksums: a CRC32C for each chunk of 1 MiB, 32 bits, little endian. Written by a copy, read by a verification. */
  sumsFd: 's32',
  /** Of this process (proc(5), /proc/PID/pagemap), for COPY_PRIVATE. */
  pagemapFd: 's32',
  /** Bytes of the whole. */
  size: 'u64',
  rangeCount: 'u32',
  ranges: { array: memoryRangeStruct, length: 32 },
});

/** How a job stands, or ended. */
export const jobReportStruct = new Struct('JobReport', {
  /** Bytes of all parts that it has got past, holes included. */
  done: 'u64',
  /** Bytes that it has written. */
  written: 'u64',
  /** Bit n: the blocks of part n are shared with its source, and it has no checksums. */
  cloned: 'u64',
  /** Where in the part it failed. */
  offset: 'u64',
  part: 'u32',
  failure: 'u32',
  /** ECANCELED after a cancellation; 0 without a failure. */
  errno: 's32',
  ended: 'u32',
});
