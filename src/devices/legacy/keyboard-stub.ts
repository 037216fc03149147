/** Commands to a PS/2 keyboard (IBM Personal System/2 Technical Reference, "Keyboard"). */
const COMMAND = {
  setLeds: 0xed,
  echo: 0xee,
  scanCodeSet: 0xf0,
  identify: 0xf2,
  setRate: 0xf3,
  enable: 0xf4,
  disable: 0xf5,
  setDefaults: 0xf6,
  reset: 0xff,
} as const;

const ACK = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
/** An MF2 keyboard. The controller's translation to scan code set 1 turns the second byte into 0x41. */
const ID = [0xab, 0x83] as const;
const ID_TRANSLATED = [0xab, 0x41] as const;
const SCAN_CODE_SET = 2;
const SCAN_CODE_SET_TRANSLATED = 0x3c;

/** A keyboard for drivers to detect, without keys. */
export class KeyboardStub {
  /** The command that waits for its parameter, 0 if none. */
  pendingCommand = 0;

  reset(): void {
    this.pendingCommand = 0;
  }

  /** @returns the keyboard's reply to a byte */
  receive(byte: number, translated: boolean): readonly number[] {
    const command = this.pendingCommand;
    this.pendingCommand = 0;
    // A byte with bit 7 set is a command, even if a parameter was expected.
    if (command !== 0 && byte < 0x80) return this.#parameter(command, byte, translated);
    switch (byte) {
      case COMMAND.setLeds:
      case COMMAND.scanCodeSet:
      case COMMAND.setRate:
        this.pendingCommand = byte;
        return [ACK];
      case COMMAND.echo:
        return [COMMAND.echo];
      case COMMAND.identify:
        return [ACK, ...(translated ? ID_TRANSLATED : ID)];
      case COMMAND.enable:
      case COMMAND.disable:
      case COMMAND.setDefaults:
        return [ACK];
      case COMMAND.reset:
        return [ACK, SELF_TEST_PASSED];
      default:
        return [RESEND];
    }
  }

  #parameter(command: number, value: number, translated: boolean): readonly number[] {
    const asksForSet = command === COMMAND.scanCodeSet && value === 0;
    if (!asksForSet) return [ACK];
    return [ACK, translated ? SCAN_CODE_SET_TRANSLATED : SCAN_CODE_SET];
  }
}
