import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DefinitionStore } from '../../src/definitions/store.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { unregistered } from '../../src/engine/machines/machine.ts';
import type { EngineEvent } from '../../src/engine/vm-info.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
let engine: LocalEngine;
let events: string[];
const held = new Set<string>();
const locked: string[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  held.clear();
  locked.length = 0;
  engine = new LocalEngine({
    definitions: new DefinitionStore(folder),
    takePlace: name => {
      if (held.has(name)) throw new Error(`${name} is run by another process`);
      held.add(name);
      locked.push(name);
      return unregistered(() => held.delete(name));
    },
  });
  events = [];
  engine.subscribe((event: EngineEvent) => {
    events.push(
      event.kind === 'vm'
        ? `vm ${event.vm.name}`
        : event.kind === 'removed'
          ? `removed ${event.id}`
          : event.kind,
    );
  });
});
afterEach(async () => {
  await engine.close();
});

const define = (name: string, more = '') => engine.define(name, `name: ${name}\n${more}`, { replace: false });
const files = () => fs.readdirSync(folder).sort();

test('renames the definition, its autostart and its log, under both locks', async () => {
  await define('web', 'autostart: true\n');
  engine.note('warning', 'something happened', 'web');
  engine.note('info', 'something else', 'other');
  events.length = 0;
  await engine.rename('web', 'db');
  expect(locked).toEqual(['web', 'db']);
  expect(held).toEqual(new Set());
  expect(files()).toEqual(['db.yaml', 'web.yaml~']);
  expect(engine.vms()).toMatchObject([
    { id: 'db', name: 'db', state: 'off', autostart: true, defined: true },
  ]);
  expect(await engine.definition('db')).toBe('name: db\nautostart: true\n');
  expect(engine.log().map(({ vm, text }) => `${vm}: ${text}`)).toEqual([
    'db: something happened',
    'other: something else',
    'db: renamed from web',
  ]);
  expect(events.slice(0, 2)).toEqual(['removed web', 'log-rewritten']);
  expect(events).toContain('vm db');
});

test.each([
  ['db', 'there is already a VM named db'],
  ['../x', 'cannot be the name of a VM'],
  ['locked', 'locked is run by another process'],
])('renaming to %s is refused, and changes nothing', async (name, message) => {
  await define('web');
  await define('db');
  held.add('locked');
  await expect(engine.rename('web', name)).rejects.toThrow(message);
  expect(files()).toEqual(['db.yaml', 'web.yaml']);
  expect(engine.vms().map(vm => vm.name)).toEqual(['db', 'web']);
  expect(held).toEqual(new Set(['locked']));
});

test('an invalid definition is not renamed', async () => {
  fs.writeFileSync(path.join(folder, 'web.yaml'), 'name: web\nmemroy: 1G\n');
  await define('other');
  await expect(engine.rename('web', 'db')).rejects.toThrow(/memroy/);
  expect(files()).toEqual(['other.yaml', 'web.yaml']);
});
