import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { CODE, PROTOCOL } from '../../../src/engine/remote/protocol.ts';
import { notificationSchemas, requestSchemas } from '../../../src/engine/remote/request-schemas.ts';
import { Rig } from '../../support/remote-rig.ts';

const PAGE = readFileSync('docs/api.md', 'utf8');
const IDLE = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] } as const;

/** The first block of code in that language. */
const example = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(PAGE)![1]!;

test('docs/api.md has every request, notification and error', () => {
  for (const method of [...Object.keys(requestSchemas), ...Object.keys(notificationSchemas)])
    expect(PAGE).toContain(`\`${method}\``);
  for (const code of Object.values(CODE)) expect(PAGE).toContain(`| ${code} |`);
  expect(PAGE).toContain(`this page describes ${PROTOCOL}`);
});

test("the page's Python lists the VMs", async () => {
  const rig = await Rig.start();
  rig.engine.add('web', IDLE);
  rig.engine.add('db', IDLE, { state: 'paused' });
  const env = { VRING_RUNTIME_DIR: dirname(rig.path) };
  const { stdout } = await execa('python3', ['-c', example('python')], { env, timeout: 20_000 });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\nweb running\ndb paused$/);
});

test("the page's shell does, where there is socat", async context => {
  const { failed } = await execa('socat', ['-V'], { reject: false });
  context.skip(failed, 'socat is not installed');
  const rig = await Rig.start();
  rig.engine.add('web', IDLE);
  const script = example('sh').replace('/run/vring/control.sock', rig.path);
  const { stdout } = await execa('bash', ['-c', script], { timeout: 20_000 });
  expect(stdout).toContain('"name":"web"');
});
