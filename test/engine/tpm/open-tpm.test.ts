import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TpmBackend, TpmOptions, TpmState } from '../../../src/devices/backends/tpm.ts';
import { openTpm } from '../../../src/engine/tpm/open-tpm.ts';
import { FdChar } from '../../../src/vmm/backends/char/fd-char.ts';
import { Swtpm } from '../../../src/vmm/backends/tpm/swtpm.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { FdTestLoop } from '../../support/fd-test-loop.ts';
import { until } from '../../support/until.ts';

const isThere = isInstalled();
if (!isThere) console.warn('skipped: swtpm is not installed');

const STARTUP = Buffer.from('80010000000c000001440000', 'hex');
const RANDOM = Buffer.from('80010000000c0000017b0008', 'hex');
/** TPM2_PCR_Extend of PCR 16 (which applications may use) by SHA-256, and TPM2_PCR_Read of it. */
const EXTEND = Buffer.from(
  `80020000004100000182000000100000000940000009000000000000000001000b${'5a'.repeat(32)}`,
  'hex',
);
const READ = Buffer.from('8001000000140000017e00000001000b03000001', 'hex');
const code = (response: Uint8Array) => Buffer.from(response).readUInt32BE(6);

describe.skipIf(!isThere)('swtpm', () => {
  let folder: string;
  let loop: FdTestLoop;
  const tpms: TpmBackend[] = [];
  const warnings: string[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'vring-tpm-test-'));
    loop = new FdTestLoop();
    warnings.length = 0;
  });
  afterEach(() => {
    for (const tpm of tpms.splice(0)) tpm.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(
    options: TpmOptions = { type: 'emulator', state: join(folder, 'state') },
  ): Promise<TpmBackend> {
    const { fds, label } = await openTpm(options);
    const char = (fd: number) =>
      new FdChar({ kind: 'stream', fd, label, loop, closeFd: each => libc.close(each) });
    const parts = { label, data: char(fds[0]!), control: char(fds[1]!) };
    const tpm = new Swtpm({ ...parts, warn: text => warnings.push(text) });
    tpms.push(tpm);
    return tpm;
  }

  /** Runs the loop until the TPM has responded. */
  async function answer<What>(ask: (done: (what: What) => void) => void): Promise<What> {
    const answers: What[] = [];
    ask(what => answers.push(what));
    await until(() => {
      if (answers.length === 0) loop.turn();
      return answers.length > 0;
    });
    return answers[0]!;
  }

  const execute = (tpm: TpmBackend, command: Uint8Array, locality = 0) =>
    answer<Uint8Array>(done => tpm.execute(locality, command, done));
  const stateOf = (tpm: TpmBackend) => answer<TpmState | null>(done => tpm.readState(done));

  test('returns random numbers, and loses its PCRs at power-off', async () => {
    const tpm = await open();
    expect(code(await execute(tpm, STARTUP))).toBe(0);
    const [first, second] = [await execute(tpm, RANDOM), await execute(tpm, RANDOM)];
    expect([code(first), first.length, second.length]).toEqual([0, 20, 20]);
    expect(first).not.toEqual(second);
    const before = await execute(tpm, READ);
    expect(code(await execute(tpm, EXTEND))).toBe(0);
    const extended = await execute(tpm, READ);
    expect(extended.slice(-32)).not.toEqual(before.slice(-32));
    tpm.powerOff();
    expect(code(await execute(tpm, STARTUP))).toBe(0);
    expect((await execute(tpm, READ)).slice(-32)).toEqual(before.slice(-32));
    // Another locality.
    expect(code(await execute(tpm, RANDOM, 3))).toBe(0);
    expect(warnings).toEqual([]);
  });

  test('has its state saved, and loaded into another instance', async () => {
    const tpm = await open();
    await execute(tpm, STARTUP);
    await execute(tpm, EXTEND);
    const pcr = (await execute(tpm, READ)).slice(-32);
    const state = (await stateOf(tpm))!;
    expect(state.permanent.length).toBeGreaterThan(500);
    expect(state.volatile.length).toBeGreaterThan(500);
    const other = await open({ type: 'emulator', state: join(folder, 'other') });
    other.writeState(state);
    expect((await execute(other, READ)).slice(-32)).toEqual(pcr);
    // The state of an instance that has not been on since is the same.
    const third = await open({ type: 'emulator', state: join(folder, 'third') });
    third.writeState(state);
    expect(await stateOf(third)).toEqual(state);
  });

  test('keeps its nonvolatile state, and ends with the VM', async () => {
    const tpm = await open();
    await execute(tpm, STARTUP);
    const { permanent } = (await stateOf(tpm))!;
    tpm.close();
    await until(() => !isRunning(join(folder, 'state')));
    expect(existsSync(join(folder, 'state/tpm2-00.permall'))).toBe(true);
    const again = await open();
    await execute(again, STARTUP);
    // The seeds from which all of its keys are derived.
    expect((await stateOf(again))!.permanent.slice(40, 200)).toEqual(permanent.slice(40, 200));
  });

  test('may be an instance that is already running, by its control socket', async () => {
    const path = join(folder, 'control.sock');
    const program = spawn('swtpm', [
      ...['socket', '--tpm2', '--tpmstate', `dir=${folder}`, '--ctrl', `type=unixio,path=${path}`],
    ]);
    try {
      await until(() => existsSync(path));
      const tpm = await open({ type: 'socket', path });
      expect(code(await execute(tpm, STARTUP))).toBe(0);
      expect(code(await execute(tpm, RANDOM))).toBe(0);
      program.kill('SIGKILL');
      await until(() => {
        loop.turn();
        return warnings.length > 0;
      });
      expect(warnings).toEqual(['the TPM has failed: its program has ended']);
      expect(code(await execute(tpm, RANDOM))).toBe(0x101);
      expect(await stateOf(tpm)).toBeNull();
    } finally {
      program.kill('SIGKILL');
    }
  });

  test('that is not running is reported', async () => {
    const path = join(folder, 'none.sock');
    await expect(open({ type: 'socket', path })).rejects.toThrow(
      /^no TPM at .*none\.sock: .*; start swtpm socket/,
    );
  });
});

function isInstalled(): boolean {
  try {
    execFileSync('swtpm', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** Whether a swtpm has its state in this folder. */
function isRunning(folder: string): boolean {
  return execFileSync('ps', ['-eo', 'args']).toString().includes(`dir=${folder},`);
}
