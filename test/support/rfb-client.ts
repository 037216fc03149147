import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { constants, createInflate, type Inflate } from 'node:zlib';
import { ByteReader } from '../../src/vnc/byte-reader.ts';
import { encrypted } from '../../src/vnc/security.ts';

/** A VNC client that keeps the picture: RFB 3.8, 32 bits per pixel, raw or ZRLE. */
export class RfbClient {
  width = 0;
  height = 0;
  name = '';
  /** 0xRRGGBB, row by row. */
  pixels = new Uint32Array(0);
  /** Whether the server accepts QEMU's extended key events. */
  hasExtendedKeys = false;
  /** The contents of ExtendedDesktopSize rectangles. */
  readonly sizes: { reason: number; status: number; width: number; height: number }[] = [];
  updates = 0;
  bytes = 0;
  readonly #socket: Socket;
  #stream: Duplex;
  #reader: ByteReader;
  readonly #inflate: Inflate = createInflate({ finishFlush: constants.Z_SYNC_FLUSH });
  readonly #inflated: Buffer[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#stream = socket;
    this.#reader = new ByteReader(socket);
    this.#inflate.on('data', (part: Buffer) => this.#inflated.push(part));
  }

  static async connect(
    to: NetConnectOpts,
    {
      password,
      encodings = [16, -223, -258],
    }: { readonly password?: string; readonly encodings?: number[] } = {},
  ): Promise<RfbClient> {
    const socket = connect(to);
    socket.on('error', () => {});
    await new Promise(resolve => socket.once('connect', resolve));
    const client = new RfbClient(socket);
    await client.#handshake(password);
    const list = Buffer.alloc(4 + 4 * encodings.length);
    list[0] = 2;
    list.writeUInt16BE(encodings.length, 2);
    for (const [index, encoding] of encodings.entries()) list.writeInt32BE(encoding, 4 + 4 * index);
    client.#stream.write(list);
    return client;
  }

  close(): void {
    this.#socket.destroy();
    this.#inflate.destroy();
  }

  color(x: number, y: number): number {
    return this.pixels[y * this.width + x]!;
  }

  key(symbol: number, down: boolean): void {
    const message = Buffer.alloc(8);
    message.set([4, down ? 1 : 0]);
    message.writeUInt32BE(symbol, 4);
    this.#stream.write(message);
  }

  extendedKey(symbol: number, scanCode: number, down: boolean): void {
    const message = Buffer.alloc(12);
    message.set([255, 0, 0, down ? 1 : 0]);
    message.writeUInt32BE(symbol, 4);
    message.writeUInt32BE(scanCode, 8);
    this.#stream.write(message);
  }

  pointer(x: number, y: number, buttons: number): void {
    const message = Buffer.alloc(6);
    message.set([5, buttons]);
    message.writeUInt16BE(x, 2);
    message.writeUInt16BE(y, 4);
    this.#stream.write(message);
  }

  /** Requests a different desktop size. @param screens each [x, y, width, height] */
  setDesktopSize(
    width: number,
    height: number,
    screens: readonly number[][] = [[0, 0, width, height]],
  ): void {
    const message = Buffer.alloc(8 + 16 * screens.length);
    message[0] = 251;
    message.writeUInt16BE(width, 2);
    message.writeUInt16BE(height, 4);
    message[6] = screens.length;
    for (const [index, screen] of screens.entries())
      for (const [at, value] of screen.entries()) message.writeUInt16BE(value, 8 + 16 * index + 4 + 2 * at);
    this.#stream.write(message);
  }

  /** Waits for the next ExtendedDesktopSize rectangle. */
  async size() {
    const before = this.sizes.length;
    while (this.sizes.length === before) await this.#message();
    return this.sizes.at(-1)!;
  }

  write(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  /** Requests changes, and waits for them. */
  async update({ incremental = true } = {}): Promise<void> {
    const request = Buffer.alloc(10);
    request.set([3, incremental ? 1 : 0]);
    request.writeUInt16BE(this.width, 6);
    request.writeUInt16BE(this.height, 8);
    this.#stream.write(request);
    let isOnlyAboutKeys = true;
    while (isOnlyAboutKeys) isOnlyAboutKeys = await this.#message();
    this.updates++;
  }

  async #handshake(password: string | undefined): Promise<void> {
    const version = (await this.#reader.read(12)).toString();
    if (version !== 'RFB 003.008\n') throw new Error(`version ${version}`);
    this.#stream.write(version);
    const [count] = await this.#reader.read(1);
    const types = await this.#reader.read(count!);
    const [type] = types;
    this.#stream.write(Buffer.from([type!]));
    if (type === 19) await this.#startTls();
    if (password !== undefined) {
      const challenge = await this.#reader.read(16);
      this.#stream.write(encrypted(challenge, password));
    }
    if ((await this.#reader.read(4)).readUInt32BE(0) !== 0) {
      const length = (await this.#reader.read(4)).readUInt32BE(0);
      throw new Error((await this.#reader.read(length)).toString());
    }
    this.#stream.write(Buffer.from([1]));
    const head = await this.#reader.read(24);
    this.#resize(head.readUInt16BE(0), head.readUInt16BE(2));
    this.name = (await this.#reader.read(head.readUInt32BE(20))).toString();
  }

  async #startTls(): Promise<void> {
    await this.#reader.read(2);
    this.#stream.write(Buffer.from([0, 2]));
    await this.#reader.read(1);
    const [count] = await this.#reader.read(1);
    this.#stream.write(await this.#reader.read(4 * count!));
    await this.#reader.read(1);
    this.#socket.removeAllListeners('readable');
    const secured = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    await new Promise((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
    });
    this.#stream = secured;
    this.#reader = new ByteReader(secured);
  }

  #resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(width * height);
  }

  /** @returns whether it was only about keys */
  async #message(): Promise<boolean> {
    const head = await this.#reader.read(4);
    if (head[0] !== 0) throw new Error(`message ${head[0]}`);
    let isOnlyAboutKeys = head.readUInt16BE(2) > 0;
    for (let left = head.readUInt16BE(2); left > 0; left--) {
      const area = await this.#reader.read(12);
      const [x, y, width, height] = [0, 2, 4, 6].map(at => area.readUInt16BE(at)) as [
        number,
        number,
        number,
        number,
      ];
      const encoding = area.readInt32BE(8);
      if (encoding !== -258) isOnlyAboutKeys = false;
      if (encoding === -258) this.hasExtendedKeys = true;
      else if (encoding === -223) this.#resize(width, height);
      else if (encoding === -308) {
        const screens = await this.#reader.read(4);
        const screen = await this.#reader.read(16 * screens[0]!);
        const [atX, atY, wide, high] = [4, 6, 8, 10].map(at => screen.readUInt16BE(at));
        if (screens[0] !== 1 || atX !== 0 || atY !== 0 || wide !== width || high !== height)
          throw new Error('the desktop is not one screen');
        this.sizes.push({ reason: x, status: y, width, height });
        if (width !== this.width || height !== this.height) this.#resize(width, height);
      } else if (encoding === 0) {
        const bytes = await this.#reader.read(4 * width * height);
        for (let index = 0; index < width * height; index++)
          this.#set(x + (index % width), y + Math.floor(index / width), bytes.readUInt32LE(4 * index));
      } else await this.#zrle(x, y, width, height);
    }
    return isOnlyAboutKeys;
  }

  #set(x: number, y: number, color: number): void {
    this.pixels[y * this.width + x] = color;
  }

  async #zrle(left: number, top: number, width: number, height: number): Promise<void> {
    const length = (await this.#reader.read(4)).readUInt32BE(0);
    this.bytes += length;
    this.#inflate.write(await this.#reader.read(length));
    await new Promise<void>(resolve => this.#inflate.flush(resolve));
    const data = Buffer.concat(this.#inflated.splice(0));
    let at = 0;
    const color = () => {
      at += 3;
      return data.readUIntLE(at - 3, 3);
    };
    for (let y = top; y < top + height; y += 64) {
      for (let x = left; x < left + width; x += 64) {
        const [columns, rows] = [Math.min(64, left + width - x), Math.min(64, top + height - y)];
        const kind = data[at++]!;
        const palette = Array.from({ length: kind }, color);
        const bits = kind === 2 ? 1 : kind <= 4 ? 2 : 4;
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            if (kind === 0) this.#set(x + column, y + row, color());
            else if (kind === 1) this.#set(x + column, y + row, palette[0]!);
            else {
              const byte = data[at + ((column * bits) >> 3)]!;
              const index = (byte >> (8 - bits - ((column * bits) & 7))) & (2 ** bits - 1);
              this.#set(x + column, y + row, palette[index]!);
            }
          }
          if (kind > 1) at += Math.ceil((columns * bits) / 8);
        }
      }
    }
    if (at !== data.length) throw new Error(`${data.length - at} bytes of ZRLE are left`);
  }
}
