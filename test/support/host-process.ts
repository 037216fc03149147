import { bindDevices } from '../../src/commands/host/bind.ts';
import type { ChangeContext } from '../../src/commands/host/change.ts';
import { undoLast } from '../../src/commands/host/undo.ts';
import { Journal } from '../../src/host/plan/journal.ts';
import { ProcessWriter } from '../../src/host/plan/process-writer.ts';
import { HostRoot } from '../../src/host/root.ts';
import { hostLock } from '../../src/manager/host-lock.ts';

// A process that changes a tree as vring's commands change the host: TREE JOURNAL SECONDS COMMAND ADDRESS.
const [tree = '', journal = '', seconds = '', command = '', address = ''] = process.argv.slice(2);
const root = new HostRoot(tree);
const print = (line: string) => process.stdout.write(`${line}\n`);
const context: ChangeContext = {
  writer: () => new ProcessWriter(root, Number(seconds)),
  journal: () => new Journal(journal),
  lock: hostLock(journal),
  say: print,
  sayJson: () => {},
  warn: line => print(`warning: ${line}`),
};
try {
  process.exitCode =
    command === 'bind'
      ? await bindDevices(root, [address], { driver: 'pci-stub' }, context)
      : await undoLast(root, {}, context);
} catch (error) {
  print(`error: ${(error as Error).message}`);
  process.exitCode = 1;
}
