/** One-word names of device kinds, by base class or subclass (PCI Code and ID Assignment Specification). */
const WORDS: Readonly<Record<string, string>> = {
  '0001': 'vga',
  '01': 'storage',
  '0106': 'sata',
  '0107': 'sas',
  '0108': 'nvme',
  '02': 'net',
  '03': 'display',
  '0300': 'vga',
  '0302': '3d',
  '04': 'media',
  '0403': 'audio',
  '05': 'memory',
  '06': 'bridge',
  '0600': 'host',
  '0601': 'isa',
  '07': 'comm',
  '0700': 'serial',
  '08': 'system',
  '0806': 'iommu',
  '09': 'input',
  '0b': 'cpu',
  '0c': 'bus',
  '0c03': 'usb',
  '0c05': 'smbus',
  '0d': 'radio',
  '10': 'crypto',
  '11': 'signal',
  '12': 'accel',
  ff: 'other',
};

/** The word for a class code of six hex digits, for a narrow column; the code itself if there is none. */
export function classWord(code: string): string {
  return WORDS[code.slice(0, 4)] ?? WORDS[code.slice(0, 2)] ?? code.slice(0, 4);
}
