import { CATEGORIES } from '../actions/action.ts';
import { actions } from '../actions/registry.ts';
import { SCREEN_NAMES } from '../store/screens.ts';
import { SORTED_SCREENS } from '../view/sort-columns.ts';
import { keyLabel, keysOf } from './bindings.ts';
import { sortLetters } from './sort-letters.ts';

/** The key bindings as a page of the documentation. */
export function keysMarkdown(): string {
  const sections = CATEGORIES.map(category => {
    const rows = actions
      .filter(action => action.category === category)
      .map(action => {
        const keys = keysOf(action)
          .map(key => `\`${keyLabel(key)}\``)
          .join(' ');
        const where = action.screens?.map(screen => SCREEN_NAMES[screen]).join(', ') ?? 'everywhere';
        const asks = action.dangerous ? '; asks first' : '';
        return `| ${keys} | \`:${action.name}\` | ${action.description}${asks} | ${where} |`;
      });
    return [
      `## ${category}`,
      '',
      '| Keys | Action | What it does | Where |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  return `${[INTRODUCTION, ...sections, sortSection()].join('\n\n')}\n`;
}

/** The letters by which each screen can be sorted. */
function sortSection(): string {
  const rows = SORTED_SCREENS.map(screen => {
    const letters = sortLetters(screen).map(({ letter, title, shift }) => {
      const key = shift ? `\`${letter.toUpperCase()}\`` : `\`o\` \`${letter}\``;
      return `${key} ${title}`;
    });
    return `| ${SCREEN_NAMES[screen]} | ${letters.join(', ')} |`;
  });
  return [
    '## Sorting',
    '',
    'After `o`, a letter sorts by a column, and the same letter again reverses the order; `o` reverses it, too, and `-` shows the',
    'rows unsorted. A capital letter does it at once, unless it changes a VM or the host on some screen. `:sort COLUMN` takes `asc` or `desc`, too.',
    '',
    '| Screen | Keys |',
    '| --- | --- |',
    ...rows,
  ].join('\n');
}

const INTRODUCTION = `# Keys

This page is generated from \`src/actions/\` and \`src/keys/bindings.ts\`; the help of the UI (\`?\`) shows the same, with the reason why an action
is unavailable at the moment. Capital letters, \`a\` and \`u\` change a VM or the host, or sort a list; others change only what you see. On the command line
(\`:\`) there are also \`:vm NAME\`, \`:images\`, and the lists of the host with a filter or an address: \`:pci /igb\`, \`:pci 02:00.0\`.

A change of the host is shown word for word before it is made: \`Tab\` and \`Enter\` apply it, \`w\` takes the whole IOMMU group, \`p\`
has it made at each boot, too. Where a check blocks it, the address must be typed.

A device is attached (\`a\`) with a VM picked from a list, and one plan of everything from the host's drivers to the guest: \`Tab\` and \`Enter\`
attach it and start the VM, \`s\` leaves it off, \`r\` has the device stay with vfio-pci when the VM ends, \`w\` takes its whole IOMMU group, \`i\`
chooses between iommufd and VFIO groups, \`m\` gives a VF that has none a MAC address that stays. In the VM's tab of disks, \`a\` attaches
a disk, in its tab of devices either.

While a text is being typed, letters are text. In the serial console all keys go to the guest but \`Ctrl-]\`, which leaves it.`;
