/** Disks that firmware boots: a first sector of real-mode code, which reads the second one by INT 13h. */

const SECTOR = 512;
const ORIGIN = 0x7c00;
const BUFFER = 0x8000;
/** Port of an ISA debug console, which firmware also writes to. */
const DEBUG_PORT = 0x402;
/** ACPI: soft off. */
const PM1_CONTROL = 0x604;
const SOFT_OFF = 0x2000;

const u16 = (value: number) => [value & 0xff, value >>> 8];

/** How the boot sector addresses the disk: by `chs`, which floppies require, or by LBA, with the sector to read. */
export type BootRead = { readonly by: 'lba'; readonly sector: number } | { readonly by: 'chs' };

/**
 * Code that reads a sector by INT 13h, by default the second one, prints its text up to a NUL on the debug port and by
 * INT 10h, and turns the machine off. If it cannot read, it prints `E` and the BIOS's status in hexadecimal.
 */
export function bootCode(from: BootRead = { by: 'lba', sector: 1 }): number[] {
  const setUp = [
    ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // cli; xor ax,ax; mov ds/es/ss,ax
    ...[0xbc, ...u16(ORIGIN), 0xfb], // mov sp,0x7c00; sti
  ];
  const packetAt = ORIGIN + 0xa0;
  const read =
    from.by === 'lba'
      ? [0xbe, ...u16(packetAt), 0xb4, 0x42, 0xcd, 0x13] // mov si,packet; mov ah,0x42; int 0x13
      : [0xb8, ...u16(0x0201), 0xbb, ...u16(BUFFER), 0xb9, ...u16(0x0002), 0xb6, 0x00, 0xcd, 0x13]; // 1 sector: 0/0/2
  const print = [
    ...[0xbe, ...u16(BUFFER)], // mov si,buffer
    ...[0xac, 0x84, 0xc0, 0x74, 0x0c], // next: lodsb; test al,al; jz off
    ...[0xba, ...u16(DEBUG_PORT), 0xee], // mov dx,port; out dx,al
    ...[0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10], // mov ah,0x0e; xor bx,bx; int 0x10
    ...[0xeb, 0xef], // jmp next
  ];
  const off = [
    ...[0xba, ...u16(PM1_CONTROL), 0xb8, ...u16(SOFT_OFF), 0xef], // off: mov dx,pm1; mov ax,s5; out dx,ax
    ...[0xf4, 0xeb, 0xfd], // hlt; jmp
  ];
  const fail = [
    ...[0x88, 0xe3, 0xba, ...u16(DEBUG_PORT), 0xb0, 0x45, 0xee], // mov bl,ah; mov dx,port; mov al,'E'; out dx,al
    ...[0x88, 0xd8, 0xc0, 0xe8, 0x04, 0x04, 0x30, 0xee], // high digit
    ...[0x88, 0xd8, 0x24, 0x0f, 0x04, 0x30, 0xee], // low digit
  ];
  const jump = [0x72, print.length + off.length]; // jc fail
  const back = [0xeb, -(fail.length + off.length + 2) & 0xff]; // jmp off
  const code = [...setUp, ...read, ...jump, ...print, ...off, ...fail, ...back];
  const sector = from.by === 'lba' ? from.sector : 0;
  const packet = [0x10, 0, 1, 0, ...u16(BUFFER), 0, 0, sector, 0, 0, 0, 0, 0, 0, 0];
  return [...code, ...new Array<number>(0xa0 - code.length).fill(0), ...packet];
}

/**
 * The image of a disk whose boot sector prints `text` as a line, and one more: SeaBIOS prints a line on COM1 only when
 * more follows. @param size in bytes
 */
export function bootDisk(text: string, size = 2 ** 20, read?: BootRead): Uint8Array {
  const image = Buffer.alloc(size);
  image.set(bootCode(read));
  image.set([0x55, 0xaa], SECTOR - 2);
  image.write(`${text}\r\n--\r\n\0`, SECTOR, 'latin1');
  return image;
}
