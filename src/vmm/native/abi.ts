/**
 * What crosses the C ABI of native/. Generated from native/src by `npm run abi`: do not edit. A test fails when it is stale.
 */
import { Struct } from '../kvm/c-struct.ts';

/** The version of all this and of the functions. */
export const ABI_VERSION = 21;

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

/** What the buffers of a balloon queue contain. */
export const BALLOON_ROLE = {
  /** Page numbers that the guest gives to the host. */
  inflate: 0,
  /** Page numbers that the guest takes back. */
  deflate: 1,
  /** The free pages themselves, which stay with the guest. */
  report: 2,
} as const;

/** Bits of `ImageConfig::flags`. */
export const IMAGE_FLAG = {
  readonly: 1,
  /** The backing store can deallocate space. */
  discard: 2,
  /** Writes are never made durable. */
  volatile: 4,
  /** Every write is durable when it completes. */
  writeThrough: 8,
  /** Writes of zeros become zeroed ranges. */
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
  /** A CD drive, not a disk. */
  cd: 1,
  removable: 2,
  /** It reports support for the DPO and FUA bits. */
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

/** The kinds of a controller's queues. */
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
  /** Frames of a VLAN are passed on only if its bit is set. */
  vlans: 64,
} as const;

/** How a failed request is handled. */
export const ERROR_ACTION = {
  /** The guest sees an error. */
  report: 0,
  /** The guest sees success. */
  ignore: 1,
  /** The VM is paused, and the request carried out again when the VM continues. */
  stop: 2,
  /** Stop if the host has no space left, else report. */
  enospc: 3,
} as const;

/** What precedes the first vCPU block. */
export const COUNTERS_HEADER = {
  words: 8,
} as const;

/** Word offsets in a vCPU block. */
export const VCPU = {
  /** 64 words: exits to user space by KVM_EXIT_* reason (linux/kvm.h). */
  exits: 0,
  /** 64 words: nanoseconds from each kind of exit until the vCPU entered KVM again. */
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
  /** KVM_RUN calls that returned EINTR: kicks. */
  kicks: 133,
  /** 32 words: exits by the time until they were answered; word i counts [2^i, 2^(i+1)) ns. */
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
  /**
   * Nanoseconds from taken to returned, summed over all requests; per elapsed
   * nanosecond, the mean number in flight.
   */
  latencyNs: 11,
  /** Requests that failed on the host's disk; `errors` includes them, and requests that the device refuses. */
  diskErrors: 12,
  /** Id of the queue that the block counts; 0 in a free block. */
  id: 13,
  /** Times that a rate limit made the queue wait. */
  throttled: 14,
  /** Nanoseconds that requests waited in the ring because of a rate limit. */
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

/** What a machine thread and its calls of `wait` and `complete` pass each other. */
export const waitPageStruct = new Struct('WaitPage', {
  /** The longest it waits; all ones for forever. */
  timeoutNs: 'u64',
  /** The latest time it waits until, on CLOCK_MONOTONIC; all ones for forever. */
  deadlineNs: 'u64',
  /**
   * One more than the index of a vCPU whose open exit has been answered in its `kvm_run` page, and which is to
   * continue; 0 for none.
   */
  answered: 'u32',
  /** Out: the number of events of a wait, or a negative errno. */
  result: 's32',
  /**
   * The words of the counters to which the time of that answer is added: of the range and of the address that the
   * vCPU has accessed. 0 for none.
   */
  rangeNs: 'u32',
  addressNs: 'u32',
  /** Out. */
  events: { array: eventStruct, length: 64 },
});

/** One region of RAM, as passed by JavaScript. */
export const regionStruct = new Struct('Region', {
  /** Guest-physical start. */
  gpa: 'u64',
  size: 'u64',
  /** Host address in this process. */
  host: 'u64',
  /** Address of its block's log in this process; 0 if it has none. */
  log: 'u64',
  /** Offset of the region in its block, in bytes. */
  offset: 'u64',
  /** 1 if it is read-only, else 0. */
  readonly: 'u64',
  /** How its pages are given back to the host: MADV_REMOVE or MADV_DONTNEED of madvise(2), or 0 if they are not. */
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
  /** Slot of its counters; all ones for unread counters. */
  counterSlot: 'u32',
  /** Where it continues, as in `QueueProgress`. */
  lastAvail: 'u16',
  usedIndex: 'u16',
  reserved: 'u32',
  /**
   * Memory outside guest RAM that no other queue accesses: a model on the machine thread keeps its ring there.
   * Size 0 for none. It stays mapped at `own_host` until the thread has ended.
   */
  ownGpa: 'u64',
  ownSize: 'u64',
  ownHost: 'u64',
});

/**
 * How far a queue thread has got, as read by JavaScript.
 *
 * In a split ring both indices are free-running. In a packed one each has the index of a descriptor in bits 0 to
 * 14 and the wrap counter in bit 15, as in vhost: initially 0x8000.
 *
 * The chains that were taken and not returned are separate bytes. In a split ring: the 16-bit index of each one's
 * head. In a packed ring, where used descriptors may have overwritten them: each one's descriptors, 16 bytes each,
 * as they were in the ring; for an indirect chain, the descriptor that points to its table.
 */
export const queueProgressStruct = new Struct('QueueProgress', {
  lastAvail: 'u16',
  usedIndex: 'u16',
  /** Bytes that describe unfinished chains. */
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

/** A logical unit, as passed by JavaScript. Strings are ASCII, padded with spaces; the serial number with zeros. */
export const scsiUnitConfigStruct = new Struct('ScsiUnitConfig', {
  /** NAA identifiers of the unit and of its port; 0 for none. */
  wwn: 'u64',
  portWwn: 'u64',
  /** Target in bits 16 to 23, logical unit number in bits 0 to 13. */
  address: 'u32',
  /** `scsi_unit_flag` bits. */
  flags: 'u32',
  /**
   * In bytes: a logical block, a power of two from 512; a physical block, at least as large; and preferred
   * transfer sizes, 0 if unknown.
   */
  logicalBlock: 'u32',
  physicalBlock: 'u32',
  minIo: 'u32',
  optimalIo: 'u32',
  /** 0 if not reported, 1 for non-rotating, else revolutions per minute. */
  rotationRate: 'u32',
  /** The queue block in which its commands are counted; `NO_COUNTERS` for none. */
  counterSlot: 'u32',
  vendor: { array: 'u8', length: 8 },
  product: { array: 'u8', length: 16 },
  revision: { array: 'u8', length: 4 },
  serial: { array: 'u8', length: 36 },
});

/** A logical unit's state, as JavaScript reads and writes it. */
export const scsiUnitStateStruct = new Struct('ScsiUnitState', {
  /** Pending unit attentions, as the unit's own bits. */
  attentions: 'u32',
  /** The unit's code of a media event. */
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
  /** 1 if it transmits, 0 if it receives. */
  transmits: 'u32',
});

/** A wire, as passed by JavaScript; its fds are a separate array. */
export const wireConfigStruct = new Struct('WireConfig', {
  fds: 'u32',
  /** 1 if frames have a virtio_net_hdr in front; else 0. */
  header: 'u32',
  /** The eventfd to signal when the other end is gone. */
  noticeFd: 's32',
  /**
   * Memory that carries the frames in place of the file, which is then used for wake-ups
   * (frame_ring.rs); -1 for none.
   */
  memoryFd: 's32',
  /** The eventfd that signals free space in that memory. */
  roomFd: 's32',
});

/** Which frames a card receives, as passed by JavaScript. Its addresses are separate bytes, 6 each, unicast first. */
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
  /** In bytes. */
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

/**
 * Rates per second, 0 for no limit, and bursts: what may be done immediately after a pause, 0 for a tenth of a
 * second's worth.
 */
export const rateLimitsStruct = new Struct('RateLimits', {
  operations: 'u64',
  operationsBurst: 'u64',
  bytes: 'u64',
  bytesBurst: 'u64',
});

/** Errors of one kind, as JavaScript reads them. */
export const diskErrorsStruct = new Struct('DiskErrors', {
  /** Sector of the first error. */
  sector: 'u64',
  /** Number of failed requests. */
  count: 'u64',
  access: 'u32',
  errno: 's32',
  /** Which of the queue's disks; 0 if it has only one. */
  disk: 'u32',
});

/** Rlimit. */
export const rlimitStruct = new Struct('Rlimit', {
  /** RLIMIT_x. */
  resource: 'u64',
  soft: 'u64',
  hard: 'u64',
});

/** Filled in by JavaScript. */
export const spawnOptionsStruct = new Struct('SpawnOptions', {
  flags: 'u32',
  argc: 'u32',
  envc: 'u32',
  fds: 'u32',
  rlimitCount: 'u32',
  cgroupFd: 's32',
  /** Fds to become 0, 1 and 2 of the process. */
  stdio: { array: 's32', length: 3 },
  rlimits: { array: rlimitStruct, length: 8 },
});

/** The outcome, for JavaScript. */
export const spawnReportStruct = new Struct('SpawnReport', {
  pid: 's32',
  pidfd: 's32',
  step: 'u32',
  errno: 's32',
  /** By `Layer`: 0 if it is on, OFF, or why it is unavailable. */
  outcome: { array: 's32', length: 9 },
});

/** Filled in by JavaScript. */
export const confineOptionsStruct = new Struct('ConfineOptions', {
  flags: 'u32',
  uid: 'u32',
  gid: 'u32',
  /** Where a forbidden system call is reported before it ends the process; -1 for nowhere. */
  reportFd: 's32',
  /** How many paths stay accessible. */
  paths: 'u32',
  rlimitCount: 'u32',
  rlimits: { array: rlimitStruct, length: 8 },
});

/** ConfineReport. */
export const confineReportStruct = new Struct('ConfineReport', {
  /** By `Layer`: 0 if it is on, -1 if it was not requested, or the errno that it failed with. */
  outcome: { array: 's32', length: 7 },
  /** Landlock's ABI version; 0 without it. */
  landlockAbi: 's32',
});

/** MemoryRange. */
export const memoryRangeStruct = new Struct('MemoryRange', {
  /** Address in this process. */
  host: 'u64',
  /** Offset in the file. */
  offset: 'u64',
  size: 'u64',
});

/** One file to write or verify. Its fds are open when the job starts, which duplicates them; -1 for none. */
export const jobPartStruct = new Struct('JobPart', {
  action: 'u32',
  flags: 'u32',
  sourceFd: 's32',
  targetFd: 's32',
  /**
   * The checksum file: a 32-bit little-endian CRC32C for each 1 MiB chunk. Written by a copy, read by a
   * verification.
   */
  sumsFd: 's32',
  /** The pagemap of this process (proc(5), /proc/PID/pagemap), for private memory. */
  pagemapFd: 's32',
  /** Total size in bytes. */
  size: 'u64',
  /** The most bytes per second to send; 0 for no limit. */
  rate: 'u64',
  rangeCount: 'u32',
  ranges: { array: memoryRangeStruct, length: 32 },
});

/** A job's progress, or how it ended. */
export const jobReportStruct = new Struct('JobReport', {
  /** Bytes of all parts that have been processed, holes included. */
  done: 'u64',
  /** Bytes written. */
  written: 'u64',
  /** Bit n: part n shares its source's blocks, and has no checksums. */
  cloned: 'u64',
  /** Offset in the part at which it failed. */
  offset: 'u64',
  part: 'u32',
  failure: 'u32',
  /** ECANCELED after a cancellation, 0 without a failure. */
  errno: 's32',
  ended: 'u32',
});
