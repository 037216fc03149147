import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { connect } from '../../src/manager/connect.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { PtyProgram } from '../support/pty-program.ts';
import { Sandbox, VRING } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const NAMES = ['alpha', 'beta', 'gamma'];
/** An uncaught exception in a process that receives SIGUSR2. */
const CRASH_ON_SIGNAL = `process.on('SIGUSR2', () => { throw new Error('injected by the test'); });`;

describe.skipIf(noKvm !== null)(onKvm('VMs outlast their terminals'), () => {
  const folder = temporaryFolder();
  const sandbox = new Sandbox(folder);
  const open = (env: Record<string, string> = {}) =>
    new PtyProgram([VRING], { columns: 100, env: { ...sandbox.env, ...env } });
  let engine: Engine;

  beforeAll(async () => {
    Object.assign(process.env, sandbox.env);
    for (const name of NAMES) sandbox.define(name);
    await using ui = open();
    await ui.shows('gamma');
    // By keys alone: each start moves on to the next row.
    for (const name of NAMES) {
      ui.type('S');
      await ui.shows(new RegExp(`${name} .*running`));
      ui.type('j');
    }
    engine = (await connect())!;
  });

  afterAll(async () => {
    for (const { id } of engine.vms()) await engine.kill(id);
    await engine.close();
  });

  /** Every guest answers on its serial port. */
  async function expectHeartbeats() {
    expect(engine.vms().map(vm => [vm.name, vm.state])).toEqual(NAMES.map(name => [name, 'running']));
    for (const name of NAMES) expect(await heartbeat(name)).toContain('result info');
  }

  async function heartbeat(name: string): Promise<string> {
    const answered = Promise.withResolvers<string>();
    let printed = '';
    const console = engine.openConsole(name, {
      printed: (bytes, replayed) => {
        if (!replayed) printed += Buffer.from(bytes).toString('latin1');
        if (/result info .*> $/s.test(printed)) answered.resolve(printed);
      },
    });
    await console.takeKeyboard();
    console.type(Buffer.from('info\r'));
    const text = await answered.promise;
    console.close();
    return text;
  }

  test('when the terminal of the UI that started them is closed', expectHeartbeats);

  test('when an attached UI is killed', async () => {
    await using ui = open();
    await ui.shows(/gamma .*running/);
    ui.kill('SIGKILL');
    await ui.ended();
    await expectHeartbeats();
  });

  test('when one of two attached terminals is closed, and the other keeps working', async () => {
    await using first = open();
    await using second = open();
    await first.shows(/gamma .*running/);
    await second.shows(/gamma .*running/);
    await first.hangUp();
    await expectHeartbeats();
    second.type('P');
    await second.shows(/alpha .*paused/);
    second.type('U');
    await second.shows(/alpha .*running/);
  });

  test('when the UI dies of an exception', async () => {
    const hook = join(folder, 'crash.mjs');
    writeFileSync(hook, CRASH_ON_SIGNAL);
    await using ui = open({ NODE_OPTIONS: `--import ${hook}` });
    await ui.shows(/gamma .*running/);
    ui.kill('SIGUSR2');
    await ui.ended();
    await expectHeartbeats();
  });

  test('when the UI is quit with the default answer', async () => {
    await using ui = open();
    await ui.shows(/gamma .*running/);
    ui.type('q');
    await ui.shows(/detach/i);
    ui.type('\r');
    await ui.ended();
    await expectHeartbeats();
  });

  test('and their manager has logged the events', () => {
    const log = readFileSync(join(sandbox.env.VRING_STATE_DIR!, 'manager.log'), 'utf8');
    for (const name of NAMES) expect(log).toMatch(new RegExp(`${name}.*started`));
  });
});
