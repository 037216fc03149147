import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { kernelParameterEdits } from '../../../../src/host/boot/kernel-parameters.ts';
import { Random } from '../../../support/random.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { bootTree, debianGrub } from '../../trees/boot.ts';
import type { TreeBuilder } from '../../trees/builder.ts';

const request = { add: ['intel_iommu=on', 'iommu=pt'], remove: [] };
const defaults = '/etc/default/grub';

const trees: TreeBuilder[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.remove();
});

function edits(tree: TreeBuilder) {
  trees.push(tree);
  return kernelParameterEdits(tree.root(), request);
}

/** The files after the edit, of those that change. */
function written(tree: TreeBuilder): Record<string, string> {
  return Object.fromEntries(edits(tree).files.map(file => [file.path, file.after]));
}

function refusal(tree: TreeBuilder): string {
  try {
    edits(tree);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no refusal';
}

test.each([
  [
    'a comment after the value',
    'GRUB_CMDLINE_LINUX="console=tty0" # was: nomodeset single',
    'GRUB_CMDLINE_LINUX="console=tty0 intel_iommu=on iommu=pt" # was: nomodeset single',
  ],
  [
    'several words and a comment',
    'GRUB_CMDLINE_LINUX="a=b:c rootflags=subvol=@" # no',
    'GRUB_CMDLINE_LINUX="a=b:c rootflags=subvol=@ intel_iommu=on iommu=pt" # no',
  ],
  [
    'a value that continues on the next line',
    'GRUB_CMDLINE_LINUX="console=tty0 \\\nconsole=ttyS0"',
    'GRUB_CMDLINE_LINUX="console=tty0 \\\nconsole=ttyS0 intel_iommu=on iommu=pt"',
  ],
  [
    'single quotes',
    'GRUB_CMDLINE_LINUX=\'a "b c"\'',
    'GRUB_CMDLINE_LINUX=\'a "b c" intel_iommu=on iommu=pt\'',
  ],
  [
    'no quotes',
    'GRUB_CMDLINE_LINUX=console=ttyS0',
    'GRUB_CMDLINE_LINUX="console=ttyS0 intel_iommu=on iommu=pt"',
  ],
  [
    'no quotes, but escapes',
    'GRUB_CMDLINE_LINUX=a\\ b',
    'GRUB_CMDLINE_LINUX=a\\ b" intel_iommu=on iommu=pt"',
  ],
  ['mixed quotes', 'GRUB_CMDLINE_LINUX="a"\' b\'', 'GRUB_CMDLINE_LINUX="a"\' b intel_iommu=on iommu=pt\''],
  ['no value', 'GRUB_CMDLINE_LINUX=\n', 'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n'],
  ['export', 'export GRUB_CMDLINE_LINUX="a"', 'export GRUB_CMDLINE_LINUX="a intel_iommu=on iommu=pt"'],
  [
    'two on one line',
    'GRUB_TIMEOUT=1 GRUB_CMDLINE_LINUX="a"; GRUB_X=1',
    'GRUB_TIMEOUT=1 GRUB_CMDLINE_LINUX="a intel_iommu=on iommu=pt"; GRUB_X=1',
  ],
  [
    'a commented-out one before it',
    '#GRUB_CMDLINE_LINUX="x"\nGRUB_CMDLINE_LINUX="a"',
    '#GRUB_CMDLINE_LINUX="x"\nGRUB_CMDLINE_LINUX="a intel_iommu=on iommu=pt"',
  ],
  [
    'the last of several takes effect',
    'GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="b"',
    'GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="b intel_iommu=on iommu=pt"',
  ],
  [
    'one that refers to the other variable',
    'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX_DEFAULT x"\nGRUB_CMDLINE_LINUX_DEFAULT=q',
    'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX_DEFAULT x intel_iommu=on iommu=pt"\nGRUB_CMDLINE_LINUX_DEFAULT=q',
  ],
  ['none at all', 'GRUB_TIMEOUT=5', 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n'],
  [
    'a parameter that the other variable already has',
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=on,igfx_off"\nGRUB_CMDLINE_LINUX=""',
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=on,igfx_off"\nGRUB_CMDLINE_LINUX="iommu=pt"',
  ],
  [
    'a contradicting parameter',
    'GRUB_CMDLINE_LINUX_DEFAULT=\'quiet intel_iommu=off splash\'\nGRUB_CMDLINE_LINUX="iommu=pt"',
    'GRUB_CMDLINE_LINUX_DEFAULT=\'quiet splash\'\nGRUB_CMDLINE_LINUX="iommu=pt intel_iommu=on"',
  ],
  [
    'a contradicting parameter, in another variable',
    'O="intel_iommu=off x"\nGRUB_CMDLINE_LINUX="$O iommu=pt"',
    'O="x"\nGRUB_CMDLINE_LINUX="$O iommu=pt intel_iommu=on"',
  ],
  [
    'a value that GRUB quotes',
    'GRUB_CMDLINE_LINUX=\'a="b;c #d" e#f\'',
    'GRUB_CMDLINE_LINUX=\'a="b;c #d" e#f intel_iommu=on iommu=pt\'',
  ],
  [
    'parameters of init',
    'GRUB_CMDLINE_LINUX="quiet -- single"',
    'GRUB_CMDLINE_LINUX="quiet intel_iommu=on iommu=pt -- single"',
  ],
  [
    'substitutions and conditions elsewhere',
    'GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\nif [ -e /x ]; then GRUB_TIMEOUT=0; fi\nGRUB_CMDLINE_LINUX=""',
    'GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\nif [ -e /x ]; then GRUB_TIMEOUT=0; fi\nGRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"',
  ],
])('%s: everything else stays byte for byte', (_, before, after) => {
  expect(written(debianGrub(before))).toEqual({ [defaults]: after });
}); // prettier-ignore

test.each([
  ['GRUB_CMDLINE_LINUX="root=$(cat /x)"', 'line 1: a command substitution'],
  ['if true; then\n  GRUB_CMDLINE_LINUX="a"\nfi', 'line 2: it is set conditionally'],
  ['GRUB_CMDLINE_LINUX_DEFAULT="quiet\n', 'line 1: a double quote is not closed'],
  ['GRUB_CMDLINE_LINUX=""\r\n', '/etc/default/grub has CR LF line endings'],
  ['GRUB_CMDLINE_LINUX="quiet # splash"', 'the parameters contain a # that begins a comment'],
  ['GRUB_CMDLINE_LINUX="quiet; reboot"', 'the parameters contain an unquoted ;'],
  ['GRUB_CMDLINE_LINUX="a=\\"b c"', 'the parameters contain a " that is not closed'],
  [
    'A=intel B=_iommu=off\nGRUB_CMDLINE_LINUX="$A$B"',
    'a parameter that must change is split over several places',
  ],
])('%j is refused, with the manual step', (text, reason) => {
  const message = refusal(debianGrub(text));
  expect(message).toContain(`/etc/default/grub cannot be edited safely: `);
  expect(message).toContain(reason);
  expect(message).toContain(
    'manual step: add "intel_iommu=on iommu=pt" to GRUB_CMDLINE_LINUX, then run /usr/sbin/update-grub',
  );
});

describe('/etc/default/grub.d', () => {
  test('a file that resets the variable is the one to edit', () => {
    const file = '/etc/default/grub.d/10_cloud.cfg';
    const tree = debianGrub('GRUB_CMDLINE_LINUX=""\n', { [file]: 'GRUB_CMDLINE_LINUX="console=tty0"\n' });
    expect(written(tree)).toEqual({ [file]: 'GRUB_CMDLINE_LINUX="console=tty0 intel_iommu=on iommu=pt"\n' });
  });

  test("a cloud image's file for the other variable is left alone, unless it contradicts", () => {
    const file = '/etc/default/grub.d/50-cloudimg-settings.cfg';
    const main = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\nGRUB_CMDLINE_LINUX=""\n';
    const cloud = (text: string) =>
      debianGrub(main, { [file]: `# CLOUD_IMG\nGRUB_CMDLINE_LINUX_DEFAULT="${text}"\n` });
    const edited =
      'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\nGRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n';
    expect(written(cloud('console=tty1 console=ttyS0'))).toEqual({ [defaults]: edited });
    expect(written(cloud('console=tty1 intel_iommu=off'))).toEqual({
      [defaults]: edited,
      [file]: '# CLOUD_IMG\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty1"\n',
    });
  });

  test('a file that adds to the variable leaves the edit to the main one', () => {
    const tree = debianGrub('GRUB_CMDLINE_LINUX=""\n', {
      '/etc/default/grub.d/zfs.cfg':
        'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX root=ZFS=rpool/ROOT/pve-1 boot=zfs"\n',
    });
    expect(written(tree)).toEqual({ [defaults]: 'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n' });
  });

  test('is ignored if grub-mkconfig does not read it', () => {
    const files = {
      [defaults]: 'GRUB_CMDLINE_LINUX=""\n',
      '/etc/default/grub.d/10.cfg': 'GRUB_CMDLINE_LINUX="a"\n',
      '/usr/bin/grub-mkconfig': '#!/bin/sh\n. /etc/default/grub\n',
    };
    expect(Object.keys(written(bootTree('arch', files)))).toEqual([defaults]);
  });

  test('only names that end with .cfg are read', () => {
    const tree = debianGrub('GRUB_CMDLINE_LINUX=""\n', {
      '/etc/default/grub.d/10.cfg.bak': 'GRUB_CMDLINE_LINUX=$(x)\n',
    });
    expect(Object.keys(written(tree))).toEqual([defaults]);
  });
});

describe('an edited file, evaluated by the shell', () => {
  const installed = spawnSync('dash', ['-c', ':']).status === 0;

  test.runIf(installed)('has the previous words and the new ones', () => {
    const folder = temporaryFolder();
    const random = new Random(11);
    let edited = 0;
    for (let round = 0; round < 150; round++) {
      const before = randomDefaults(random);
      let after: string;
      try {
        after = written(debianGrub(before))[defaults] ?? before;
      } catch {
        continue;
      }
      edited++;
      const [old, now] = [before, after].map(text => sourced(folder, text));
      const left = now!.filter(word => !old!.includes(word));
      expect({ before, after, left }).toEqual({ before, after, left: request.add });
      expect(now!.filter(word => !left.includes(word))).toEqual(
        old!.filter(word => word !== 'intel_iommu=off'),
      );
    }
    expect(edited).toBeGreaterThan(75);
  });
});

/** Words of the command line that grub-mkconfig would put together. */
function sourced(folder: string, text: string): string[] {
  const file = path.join(folder, 'grub');
  fs.writeFileSync(file, text);
  const script = `. ${file}; printf %s "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"`;
  const line = execFileSync('dash', ['-ec', script], { encoding: 'utf8', env: {} });
  return line.split(/[ \n]+/).filter(Boolean);
}

function randomDefaults(random: Random): string {
  const words = ['quiet', 'splash', 'console=ttyS0,115200n8', 'intel_iommu=off', 'a=b', 'root=UUID=1-2'];
  const value = (quote: string): string => {
    const list = Array.from({ length: random.below(4) }, () => random.pick(words));
    if (quote === '') return list.join('\\ ');
    return list.join(random.pick(quote === '"' ? [' ', '  ', ' \\\n'] : [' ', '  ']));
  };
  const lines = Array.from({ length: 1 + random.below(5) }, () => {
    const quote = random.pick(['"', "'", '']);
    const name = random.pick(['GRUB_CMDLINE_LINUX', 'GRUB_CMDLINE_LINUX_DEFAULT', 'EXTRA', 'GRUB_TIMEOUT']);
    const reference = random.pick([
      '',
      '',
      '"$GRUB_CMDLINE_LINUX "',
      '"${GRUB_CMDLINE_LINUX_DEFAULT} "',
      '"$GRUB_X"',
    ]);
    const comment = random.pick(['', '', ' # intel_iommu=off "it\'s"', ';']);
    return `${random.pick(['', '', 'export ', '  '])}${name}=${reference}${quote}${value(quote)}${quote}${comment}\n`;
  });
  return lines.join(random.pick(['', '\n', '# GRUB_CMDLINE_LINUX="x\n']));
}
