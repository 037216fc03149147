/** Opcodes of admin commands (NVMe base 1.4 §5). */
export const ADMIN = {
  deleteSubmissionQueue: 0x00,
  createSubmissionQueue: 0x01,
  getLogPage: 0x02,
  deleteCompletionQueue: 0x04,
  createCompletionQueue: 0x05,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  eventRequest: 0x0c,
} as const;

/** Opcodes of the NVM command set (NVMe base 1.4 §6). */
export const NVM = {
  flush: 0x00,
  write: 0x01,
  read: 0x02,
  writeZeroes: 0x08,
  datasetManagement: 0x09,
} as const;

/** All namespaces of the controller. */
export const ALL_NAMESPACES = 0xffff_ffff;
