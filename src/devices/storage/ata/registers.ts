/** Status register (ACS-3 §6.2). */
export const STATUS = {
  /** ERR; CHK for packet commands. */
  error: 0x01,
  /** DRQ: the host must move data. */
  dataRequest: 0x08,
  /** DSC of old standards, which drivers still check: seek complete. */
  seekComplete: 0x10,
  /** DF. */
  deviceFault: 0x20,
  /** DRDY. */
  ready: 0x40,
  /** BSY. */
  busy: 0x80,
} as const;

/** The status of a drive that waits for a command. */
export const READY = STATUS.ready | STATUS.seekComplete;

/** Error register (ACS-3 §6.3). */
export const ERROR = {
  /** ABRT. */
  aborted: 0x04,
  /** IDNF: no such address. */
  notFound: 0x10,
  /** UNC: the medium cannot be read. */
  uncorrectable: 0x40,
} as const;

/** Device register. */
export const DEVICE = {
  /** The head of a CHS address, or bits 24 to 27 of a 28-bit one. */
  head: 0x0f,
  /** The second of two drives on a cable. */
  second: 0x10,
  /** The address is an LBA, not CHS. */
  lba: 0x40,
  /** For a queued write: durable when it completes (FUA). */
  forceUnitAccess: 0x80,
} as const;

/** Command codes (ACS-3 annex B; some of them are older). */
export const COMMAND = {
  dataSetManagement: 0x06,
  deviceReset: 0x08,
  recalibrate: 0x10,
  readSectors: 0x20,
  readSectorsNoRetry: 0x21,
  readSectorsExt: 0x24,
  readDmaExt: 0x25,
  readNativeMaxExt: 0x27,
  readMultipleExt: 0x29,
  readLogExt: 0x2f,
  writeSectors: 0x30,
  writeSectorsNoRetry: 0x31,
  writeSectorsExt: 0x34,
  writeDmaExt: 0x35,
  writeMultipleExt: 0x39,
  writeDmaFuaExt: 0x3d,
  readVerify: 0x40,
  readVerifyNoRetry: 0x41,
  readVerifyExt: 0x42,
  readFpdma: 0x60,
  writeFpdma: 0x61,
  seek: 0x70,
  executeDiagnostic: 0x90,
  initializeParameters: 0x91,
  packet: 0xa0,
  identifyPacket: 0xa1,
  smart: 0xb0,
  readMultiple: 0xc4,
  writeMultiple: 0xc5,
  setMultiple: 0xc6,
  readDma: 0xc8,
  readDmaNoRetry: 0xc9,
  writeDma: 0xca,
  writeDmaNoRetry: 0xcb,
  writeMultipleFuaExt: 0xce,
  standbyImmediate: 0xe0,
  idleImmediate: 0xe1,
  standby: 0xe2,
  idle: 0xe3,
  checkPowerMode: 0xe5,
  sleep: 0xe6,
  flushCache: 0xe7,
  flushCacheExt: 0xea,
  identify: 0xec,
  setFeatures: 0xef,
  readNativeMax: 0xf8,
} as const;

/** SET FEATURES subcommands (ACS-3 §7.45). */
export const FEATURE = {
  enableWriteCache: 0x02,
  setTransferMode: 0x03,
  enableApm: 0x05,
  disableReadLookAhead: 0x55,
  keepSettings: 0x66,
  disableWriteCache: 0x82,
  disableApm: 0x85,
  enableReadLookAhead: 0xaa,
  revertSettings: 0xcc,
} as const;

/** The kind of transfer mode in SET FEATURES, by its upper bits. */
export const TRANSFER_MODE = { pio: 0x00, pioFlow: 0x08, multiwordDma: 0x20, ultraDma: 0x40 } as const;

export const SECTOR = 512;

/**
 * Bits of a packet command's interrupt reason, in the count register (ACS-3 §7.18): a packet is requested, and the
 * direction of data.
 */
export const REASON = { packet: 0x01, toHost: 0x02 } as const;
