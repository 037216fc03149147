import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { CLI, defineGuest, definitionFile } from '../../support/cli.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { attached, guest, NODE, startManager, withOwnFolders } from '../../support/manager-process.ts';
import { PtyProgram } from '../../support/pty-program.ts';

withOwnFolders();

const onTerminal = (...args: string[]) => new PtyProgram([...NODE, CLI, ...args]);

test('an invalid definition is edited again until it is valid', async () => {
  defineGuest('web');
  const editor = join(process.env.VRING_STATE_DIR!, '..', 'editor');
  const script =
    'if grep -q memroy "$1"; then sed -i "s/memroy.*/memory: 64M/" "$1"; else sed -i "s/memory/memroy/" "$1"; fi';
  writeFileSync(editor, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env.VISUAL = editor;
  await using terminal = onTerminal('vm', 'edit', 'web');
  await terminal.shows('Edit again? [Y/n]');
  expect(terminal.screen).toMatch(/web\.yaml:2.*memroy/);
  terminal.type('\r');
  await terminal.shows('web: saved');
  expect(readFileSync(definitionFile('web'), 'utf8')).toContain('memory: 64M');
});

test('delete asks for confirmation; the default is no', async () => {
  defineGuest('web');
  await using terminal = onTerminal('vm', 'delete', 'web');
  await terminal.shows('Delete web?');
  terminal.type('\r');
  await terminal.shows('nothing was deleted');
  expect(readFileSync(definitionFile('web'), 'utf8')).toContain('name: web');
});

test('create prompts for a VM without options, and repeats a prompt after an invalid answer', async () => {
  const kernel = builtFile('guest.elf');
  await using terminal = onTerminal('vm', 'create');
  const answers: [question: string, answer: string][] = [
    ['Name:', 'two words'],
    ['expected a name', 'web'],
    ['Start from', 'floppy'],
    ['expected installer, cloud or kernel', 'k'],
    ['Kernel (a file)', kernel],
    ['Initial RAM disk', ''],
    ['command line', ''],
    ['Network', ''],
    ['Memory', 'much'],
    ['expected a size', '64M'],
    ['vCPUs', '2'],
    ['Disk', '1M'],
    ['PCI devices', ''],
    ['Create it? [Y/n]', ''],
  ];
  for (const [question, answer] of answers) {
    await terminal.shows(question);
    terminal.type(`${answer}\r`);
  }
  await terminal.shows('web: defined');
  await terminal.ended();
  const text = readFileSync(definitionFile('web'), 'utf8');
  expect(text).toMatch(/name: web\nmemory: 64M\ncpus: 2\n/);
  expect(text).toContain(`kernel: ${kernel}`);
  expect(statSync(join(process.env.VRING_STATE_DIR!, 'disks/web.img')).size).toBe(2 ** 20);
});

test('canceling the prompts changes nothing', async () => {
  await using terminal = onTerminal('vm', 'create', 'web');
  await terminal.shows('Start from');
  terminal.type('\x03');
  await terminal.shows(/nothing was\s+changed/);
  expect(existsSync(definitionFile('web'))).toBe(false);
});

describe.skipIf(noKvm !== null)(onKvm('on a terminal'), () => {
  test('one client holds the keyboard, and the others see which one', async () => {
    startManager();
    const engine = await attached();
    await engine.start(guest('web'));
    await using first = onTerminal('vm', 'console', 'web');
    await first.shows('Ctrl-] detaches');
    first.type('info\r');
    await first.shows('result info');
    await using second = onTerminal('vm', 'console', 'web');
    await second.shows(/has the keyboard.*; view only/);
    await second.shows('result info');
    await using third = onTerminal('vm', 'console', '--take', 'web');
    await first.shows(/has the keyboard now\]/);
    first.type('lost');
    third.type('help\r');
    // All of it: what comes later would push the next message off the screen.
    await second.shows(/';' separa\s*tes commands\.\s+>/);
    expect(second.screen).not.toContain('lost');
    third.type('\x1d');
    await third.ended();
    await second.shows('the keyboard is free; press a key to take it');
    second.type('halt\r');
    await second.shows('web is off');
    await second.ended();
  });

  test('shows progress with the time after a second', async () => {
    defineGuest('web', 'run="exits io 100000000"');
    startManager();
    const engine = await attached();
    await engine.restart('web');
    await using terminal = onTerminal('vm', 'stop', 'web', '--timeout', '3', '--force');
    await terminal.shows(/shutting down web \(\d s\)/);
    await terminal.shows('web: killed');
    expect(terminal.screen).not.toContain('shutting down');
  });

  test('top refreshes until q', async () => {
    defineGuest('web');
    startManager();
    const engine = await attached();
    await engine.restart('web');
    await using terminal = onTerminal('top', '--interval', '200ms');
    await terminal.shows(/host: .* 1 running\nNAME +STATE +CPU/);
    await engine.kill('web');
    await terminal.shows('0 running');
    terminal.type('q');
    await terminal.ended();
    expect(terminal.screen).not.toContain('host:');
  });
});
