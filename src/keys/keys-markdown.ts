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
    'After `o`, a letter sorts by a column, and the same letter again, or `o`, reverses the order; `-` shows the rows',
    'unsorted. A capital letter sorts in one step, unless it changes a VM or the host on some screen. `:sort ' +
      'COLUMN` also',
    'takes `asc` or `desc`.',
    '',
    '| Screen | Keys |',
    '| --- | --- |',
    ...rows,
  ].join('\n');
}

const INTRODUCTION = `# Keys

This page is generated from \`src/actions/\` and \`src/keys/bindings.ts\`. \`?\` in the UI shows the same for the current
screen, with the reason why an action is unavailable.

Capital letters, \`a\` and \`u\` change a VM or the host, or sort a list; other keys change only what you see. The command
line (\`:\`) also has \`:vm NAME\`, \`:images\`, and the lists of the host with a filter or an address: \`:pci /igb\`,
\`:pci 02:00.0\`.

A change of the host shows its plan first: \`Tab\` and \`Enter\` apply it, \`w\` includes the whole IOMMU group, \`p\` also
makes it at each boot. If a check blocks it, you must type the address to proceed.

Attaching a device (\`a\`) shows a list of VMs, then one plan of everything from the host's drivers to the guest: \`Tab\`
and \`Enter\` attach it and start the VM, \`s\` leaves the VM off, \`r\` leaves the device with vfio-pci when the VM ends, \`w\`
includes the whole IOMMU group, \`i\` chooses between iommufd and VFIO groups, and \`m\` gives a VF without one a permanent
MAC address. In a VM's tabs, \`a\` attaches a disk (Disks), a network card (Net), or any device (Devices).

While you type text, letters are text. In the serial console, all keys but \`Ctrl-]\`, which leaves it, go to the guest.`;
