import { describe, expect, test } from 'vitest';
import { SerialEeprom } from '../../../src/devices/net/serial-eeprom.ts';

/** The pins of an EEPROM, as a driver drives them. */
class Pins {
  readonly eeprom: SerialEeprom;
  readonly #addressBits: number;

  constructor(words: number) {
    this.eeprom = new SerialEeprom(Uint16Array.from({ length: words }, (_, index) => 0x1000 + index));
    this.#addressBits = words <= 64 ? 6 : 8;
  }

  /** Sends the highest `count` of bits, then leaves the chip selected. */
  command(operation: number, address: number): void {
    this.eeprom.setPins(true, false, false);
    this.send(1, 1);
    this.send(operation, 2);
    this.send(address, this.#addressBits);
  }

  send(value: number, count: number): void {
    for (let bit = count - 1; bit >= 0; bit--) this.#clock(((value >> bit) & 1) !== 0);
  }

  receive(count = 16): number {
    let value = 0;
    for (let bit = 0; bit < count; bit++) {
      this.#clock(false);
      value = (value << 1) | Number(this.eeprom.output);
    }
    return value;
  }

  end(): void {
    this.eeprom.setPins(false, false, false);
  }

  read(address: number): number {
    this.command(0b10, address);
    const value = this.receive();
    this.end();
    return value;
  }

  write(address: number, value: number): void {
    this.command(0b01, address);
    this.send(value, 16);
    this.end();
  }

  /** 00 and two bits at the top of the address. */
  extended(operation: number): void {
    this.command(0b00, operation << (this.#addressBits - 2));
  }

  #clock(input: boolean): void {
    this.eeprom.setPins(true, false, input);
    this.eeprom.setPins(true, true, input);
  }
}

describe.each([64, 128, 256])('of %i words', words => {
  test('a read returns a zero, the word, and the words after it', () => {
    const pins = new Pins(words);
    expect(pins.eeprom.output).toBe(true);
    pins.command(0b10, words - 1);
    // From this zero, Linux determines the width of an address.
    expect(pins.eeprom.output).toBe(false);
    expect([pins.receive(), pins.receive(), pins.receive()]).toEqual([0x1000 + words - 1, 0x1000, 0x1001]);
    pins.end();
    expect(pins.read(5)).toBe(0x1005);
  });

  test('writes and erasures have an effect only while enabled', () => {
    const pins = new Pins(words);
    pins.write(3, 0xbeef);
    expect(pins.read(3)).toBe(0x1003);
    pins.extended(0b11);
    pins.end();
    pins.write(3, 0xbeef);
    expect([pins.read(2), pins.read(3), pins.read(4)]).toEqual([0x1002, 0xbeef, 0x1004]);
    pins.command(0b11, 3);
    pins.end();
    expect(pins.read(3)).toBe(0xffff);
    pins.extended(0b01);
    pins.send(0x1234, 16);
    pins.end();
    expect(new Set(pins.eeprom.words)).toEqual(new Set([0x1234]));
    pins.extended(0b10);
    pins.end();
    expect(new Set(pins.eeprom.words)).toEqual(new Set([0xffff]));
    pins.extended(0b00);
    pins.end();
    pins.write(3, 0xbeef);
    expect(pins.read(3)).toBe(0xffff);
  });
});

test('zeros before the start bit are skipped, and an incomplete command is discarded', () => {
  const pins = new Pins(64);
  pins.eeprom.setPins(true, false, false);
  pins.send(0, 9);
  pins.send(0b110, 3);
  pins.send(7, 6);
  expect(pins.receive()).toBe(0x1007);
  pins.end();
  pins.command(0b10, 1);
  pins.receive(5);
  pins.end();
  expect(pins.read(9)).toBe(0x1009);
});

test('a read continues after save and load', () => {
  const pins = new Pins(256);
  pins.extended(0b11);
  pins.end();
  pins.write(200, 0xcafe);
  pins.command(0b10, 200);
  expect(pins.receive(7)).toBe(0xcafe >> 9);
  const [state, words] = [pins.eeprom.save(), pins.eeprom.saveWords()];
  const other = new Pins(256);
  other.eeprom.load(state);
  other.eeprom.loadWords({ words }, 'words');
  expect(other.receive(9)).toBe(0xcafe & 0x1ff);
});
