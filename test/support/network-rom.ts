/** The smallest image: a header and a PCI data structure, by default for 1af4:1000. */
export function networkRom(vendor = 0x1af4, device = 0x1000): Uint8Array {
  const bytes = Buffer.alloc(512);
  bytes.writeUInt16LE(0xaa55, 0);
  bytes[2] = 1;
  bytes.writeUInt16LE(0x40, 0x18);
  bytes.write('PCIR', 0x40);
  bytes.writeUInt16LE(vendor, 0x44);
  bytes.writeUInt16LE(device, 0x46);
  bytes.writeUInt16LE(1, 0x50);
  bytes[0x55] = 0x80;
  return bytes;
}
