import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/commands/program.ts';
import { vring } from '../support/cli.ts';

describe('vring help', () => {
  test.each([[[]], [['vm']], [['vm', 'create']], [['help']]])('%j shows what --help shows', async words => {
    const help = await vring('help', ...words);
    expect(help).toEqual(await vring(...words, '--help'));
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(/^Usage: vring/);
  });

  test.each([
    [['vm', 'creat'], 'vring vm has no command "creat"; did you mean create?'],
    [['nonsense'], 'vring has no command "nonsense"; vring --help lists them'],
    [['vm', 'list', 'x'], 'vring vm list has no command "x"; it has none'],
  ])('%j is a usage error with a suggestion', async (words, message) => {
    expect(await vring('help', ...words)).toMatchObject({ status: 2, stderr: `vring: ${message}` });
  });
});

test("no command has the library's default help text", () => {
  const visit = (command: Command): string[] => [
    command.helpInformation(),
    ...command.commands.flatMap(below => visit(below)),
  ];
  const helps = visit(buildProgram());
  expect(helps.length).toBeGreaterThan(30);
  expect(helps.filter(help => /display help|output usage/.test(help))).toEqual([]);
  expect(helps.filter(help => help.includes('help [command]')).length).toBeGreaterThan(3);
});
