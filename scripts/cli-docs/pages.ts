/** The parts of docs/cli.md and the man page other than the commands. Text between backticks is literal. */

export type Entry = { readonly term: string; readonly text: string };

/** The release date of the version in package.json. */
export const RELEASED = '2026-11-28';

export const INTRODUCTION =
  'vring runs virtual machines on its own VMM and assigns PCI devices to them. Without a command, it opens its full-screen UI. ' +
  'Each VM has its own process. The manager, a process without a terminal, starts and watches them; the UI and the commands connect to it. ' +
  '`vring serve` runs the manager as a service; if none is running, the UI and `vring vm start` start one.';

export const OUTPUT =
  'Results go to standard output, errors and progress to standard error. With `--json`, standard output ' +
  'is one JSON document with a key `version` (1): within a version, keys may be added but not removed. `null` means unknown ' +
  'or none.';

export const EXIT_STATUS: readonly Entry[] = [
  { term: '0', text: 'success' },
  { term: '1', text: 'refused or failed; with several VMs, for at least one' },
  { term: '2', text: 'usage error' },
];

export const ENVIRONMENT: readonly Entry[] = [
  {
    term: 'VRING_DEFINITIONS_DIR',
    text: 'folder of VM definitions (default: `/etc/vring/vms` for root, `$XDG_CONFIG_HOME/vring/vms` or `~/.config/vring/vms` for other users)',
  },
  {
    term: 'VRING_RUNTIME_DIR',
    text: "folder of the manager's socket (default: `/run/vring` for root, `$XDG_RUNTIME_DIR/vring` or `/tmp/vring-UID` for other users)",
  },
  {
    term: 'VRING_STATE_DIR',
    text: "folder of the manager's log, disks and journal (default: `/var/lib/vring` for root, `$XDG_STATE_HOME/vring` or `~/.local/state/vring` for other users)",
  },
  {
    term: 'VRING_UIDS',
    text: 'as root, the uids that VMs run under, one each, as `FIRST-LAST` or `off`; `vring serve --uids` takes precedence',
  },
  {
    term: 'VRING_LAYOUT',
    text: 'keyboard layout of guests whose definition has none (`us`, `uk`, `de`, `fr`, `es`, `it`; default: `us`), in the UI and without `--layout`',
  },
  { term: 'VISUAL, EDITOR', text: 'editor for `vring vm edit` (default: `vi`)' },
  { term: 'VRING_THEME', text: 'color theme of the UI; `--theme` takes precedence' },
  { term: 'NO_COLOR', text: 'if set, disables colors in the UI' },
  { term: 'INK_SCREEN_READER', text: 'if `true`, the UI is laid out for screen readers' },
  { term: 'VRING_DEBUG', text: 'if set, errors include a stack trace' },
  { term: 'VRING_TRACE_START', text: 'if set, the steps of each start of a VM are logged with their times' },
];

export const FILES: readonly Entry[] = [
  {
    term: '/etc/vring/vms/NAME.yaml',
    text: "root's definition of the VM `NAME`; `NAME.yaml~` is its previous version",
  },
  { term: '~/.config/vring/vms/NAME.yaml', text: "another user's definitions" },
  { term: '/run/vring/control.sock', text: "the socket of root's manager" },
  { term: '/var/lib/vring/manager.log', text: 'the output of a background manager' },
];
