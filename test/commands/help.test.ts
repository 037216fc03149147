import { describe, expect, test } from 'vitest';
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
