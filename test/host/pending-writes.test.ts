import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startTicksOf } from '../../src/host/process-identity.ts';
import { isRunning } from '../support/manager-process.ts';
import { until } from '../support/until.ts';

test('a zombie process no longer writes', async () => {
  // sleep, which the shell becomes, does not wait for the shell's child.
  const parent = spawn('sh', ['-c', 'read line <&3 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
  });
  try {
    const [output] = await once(parent.stdout!, 'data');
    const child = Number(output);
    expect(startTicksOf(child)).toBeGreaterThan(0);
    (parent.stdio[3] as NodeJS.WritableStream).end('\n');
    await until(() => !isRunning(child));
    expect(startTicksOf(child)).toBeNull();
  } finally {
    parent.kill('SIGKILL');
    await once(parent, 'close');
  }
});
