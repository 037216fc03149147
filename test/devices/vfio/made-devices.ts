import type { RecordedDevice } from '../../support/fake-host-device.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** Registers of a synthetic device, written from the specifications. */
class Registers {
  readonly bytes = new Uint8Array(4096);
  readonly #view = new DataView(this.bytes.buffer);

  u8(at: number, ...values: number[]): this {
    this.bytes.set(values, at);
    return this;
  }

  u16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** As a recording has them. */
  get lines(): Record<string, string> {
    const lines: Record<string, string> = {};
    for (let at = 0; at < this.bytes.length; at += 32) {
      const line = this.bytes.subarray(at, at + 32);
      if (line.some(byte => byte !== 0)) {
        lines[at.toString(16).padStart(3, '0')] = Buffer.from(line).toString('hex');
      }
    }
    return lines;
  }
}

/** Header, power management, MSI with 64-bit addresses, PCI Express and a vendor's capability, as graphics cards have them. */
function graphicsHeader(device: number): Registers {
  return new Registers()
    .u16(0x00, 0x10de)
    .u16(0x02, device)
    .u16(0x06, 0x0010)
    .u32(0x08, 0x030000a1)
    .u32(0x10, 0x0000_0000)
    .u32(0x14, 0x0000_000c)
    .u32(0x1c, 0x0000_000c)
    .u16(0x2c, 0x10de)
    .u16(0x2e, 0x1234)
    .u8(0x34, 0x60)
    .u8(0x3d, 1)
    .u8(0x60, 0x01, 0x68, 0x03, 0x00, 0x08, 0x00)
    .u8(0x68, 0x05, 0x78)
    .u16(0x6a, 0x0080)
    .u8(0x78, 0x10, 0xb4)
    .u16(0x7a, 0x0002)
    .u32(0x7c, 0x112c_8de1)
    .u16(0x80, 0x2910)
    .u32(0x84, 0x0045_3d05)
    .u16(0x8a, 0x1105)
    .u32(0x9c, 0x0007_1813)
    .u8(0xb4, 0x09, 0xc8, 0x14)
    .u8(0xb7, 0x01, 0x50, 0x32, 0x50)
    .u8(0xc8, 0x11, 0x00)
    .u16(0xca, 0x0005)
    .u32(0xcc, 0x00b9_0000)
    .u32(0xd0, 0x00ba_0000);
}

/** A graphics card with a 64-bit BAR of `bytes`, and typical extended capabilities. */
export function graphicsCard(address: string, bytes = 32 * GiB): RecordedDevice {
  const registers = graphicsHeader(0x2330)
    .u32(0x100, 0x2581_0002) // virtual channel
    .u32(0x258, 0x1281_001e) // L1 substates
    .u32(0x128, 0x4201_0004) // power budgeting
    .u32(0x420, 0x6002_0001) // advanced error reporting
    .u32(0x600, 0x9001_000b) // vendor-specific
    .u32(0x604, 0x0240_0001)
    .u32(0x608, 0xfeed_beef)
    .u32(0x900, 0xbb01_0019) // secondary PCI Express
    .u32(0xbb0, 0xbcc1_0015) // resizable BAR
    .u32(0xbcc, 0xc141_0010) // SR-IOV
    .u32(0xc14, 0xd001_000e) // alternative routing ID
    .u32(0xd00, 0xe001_000f) // address translation services
    .u32(0xe00, 0xe101_0013) // page requests
    .u32(0xe10, 0xf001_001b) // PASID
    .u32(0xf00, 0x0001_7777); // of no specification
  return {
    address,
    resetMethods: ['bus'],
    bars: [16 * MiB, bytes, 0, 32 * MiB, 0, 0],
    rom: 512 * 1024,
    interrupts: { intx: 1, msi: 1, msix: 6 },
    config: registers.lines,
  };
}

/** The same with I/O ports in BAR 5, as the VGA adapter of its host. */
export function olderNvidiaCard(address: string): RecordedDevice {
  const registers = graphicsHeader(0x13c2).u32(0x24, 0x0000_e001);
  return {
    address,
    resetMethods: ['bus'],
    bars: [16 * MiB, 256 * MiB, 0, 32 * MiB, 0, 128],
    rom: 512 * 1024,
    vga: true,
    interrupts: { intx: 1, msi: 1, msix: 0 },
    config: registers.lines,
  };
}

/** A graphics card of ATI: memory in BAR 0, registers in BAR 2, I/O ports in BAR 4. */
export function atiCard(address: string): RecordedDevice {
  const registers = new Registers()
    .u16(0x00, 0x1002)
    .u16(0x02, 0x6738)
    .u32(0x08, 0x0300_0000)
    .u32(0x10, 0x0000_000c)
    .u32(0x18, 0x0000_0004)
    .u32(0x20, 0x0000_d001)
    .u8(0x3d, 1);
  return {
    address,
    resetMethods: ['bus'],
    bars: [256 * MiB, 0, 128 * 1024, 0, 256, 0],
    rom: 128 * 1024,
    vga: true,
    interrupts: { intx: 1, msi: 0, msix: 0 },
    config: registers.lines,
  };
}

/** An RTL8168: registers in BAR 2, and the table of four vectors in BAR 4. */
export function realtekNic(address: string): RecordedDevice {
  const registers = new Registers()
    .u16(0x00, 0x10ec)
    .u16(0x02, 0x8168)
    .u16(0x06, 0x0010)
    .u32(0x08, 0x0200_0015)
    .u32(0x10, 0x0000_d001)
    .u32(0x18, 0x0000_0004)
    .u32(0x20, 0x0000_000c)
    .u8(0x34, 0xb0)
    .u8(0x3d, 1)
    .u8(0xb0, 0x11, 0x00)
    .u16(0xb2, 0x0003)
    .u32(0xb4, 0x0000_0004)
    .u32(0xb8, 0x0000_0804);
  return {
    address,
    resetMethods: ['pm'],
    bars: [256, 0, 4096, 0, 16 * 1024, 0],
    rom: 0,
    interrupts: { intx: 1, msi: 0, msix: 4 },
    config: registers.lines,
  };
}

/** A BCM57810, whose ROM is not to be read. */
export function broadcomNic(address: string): RecordedDevice {
  const registers = new Registers()
    .u16(0x00, 0x14e4)
    .u16(0x02, 0x168e)
    .u32(0x08, 0x0200_0010)
    .u32(0x10, 0x0000_000c)
    .u8(0x3d, 1);
  return {
    address,
    resetMethods: ['flr'],
    bars: [8 * MiB, 0, 0, 0, 0, 0],
    rom: 512 * 1024,
    interrupts: { intx: 1, msi: 0, msix: 0 },
    config: registers.lines,
  };
}

/** The sound function of the same device. */
export function soundOfCard(address: string): RecordedDevice {
  const registers = new Registers()
    .u16(0x00, 0x10de)
    .u16(0x02, 0x22ba)
    .u16(0x06, 0x0010)
    .u32(0x08, 0x040300a1)
    .u8(0x34, 0x60)
    .u8(0x3d, 2)
    .u8(0x60, 0x01, 0x68, 0x03, 0x00, 0x08, 0x00)
    .u8(0x68, 0x05, 0x00)
    .u16(0x6a, 0x0080);
  return {
    address,
    resetMethods: [],
    bars: [16 * 1024, 0, 0, 0, 0, 0],
    rom: 0,
    interrupts: { intx: 1, msi: 1, msix: 0 },
    config: registers.lines,
  };
}

/** A conventional card with 32 maskable MSI vectors, a 32-bit address, and its own function level reset. */
export function manyMessages(address: string): RecordedDevice {
  const registers = new Registers()
    .u16(0x00, 0x1234)
    .u16(0x02, 0x5678)
    .u16(0x06, 0x0010)
    .u32(0x08, 0xff00_0001)
    .u8(0x34, 0x40)
    .u8(0x3d, 3)
    .u8(0x40, 0x05, 0x60)
    .u16(0x42, 0x010a)
    .u8(0x60, 0x13, 0x00, 0x06, 0x03);
  return {
    address,
    resetMethods: ['af_flr'],
    bars: [256, 0, 0, 0, 0, 0],
    rom: 0,
    interrupts: { intx: 1, msi: 32, msix: 0 },
    config: registers.lines,
  };
}
