/** What docs/cli.md and the man page say beside the commands themselves. Text between backticks is to be typed. */

export type Entry = { readonly term: string; readonly text: string };

/** The day of the version in package.json. */
export const RELEASED = '2026-11-28';

export const INTRODUCTION =
  'vring runs virtual machines on its own VMM, and hands PCI devices to them. Without a command it shows its full-screen UI. ' +
  'The VMs belong to one process, their manager, which goes on when a terminal is closed; the UI and the commands speak to it. ' +
  '`vring serve` is that manager as a service; where there is none, the UI and `vring vm start` start one.';

export const OUTPUT =
  'What a command was asked for goes to standard output, errors and progress to standard error. With `--json` standard output ' +
  'is one JSON document with a key `version` (1): keys may be added in that version, what is here stays. `null` is "not known" ' +
  'or "there is none".';

export const EXIT_STATUS: readonly Entry[] = [
  { term: '0', text: 'as asked for' },
  { term: '1', text: 'refused or failed; with several VMs, for at least one of them' },
  { term: '2', text: 'wrong usage' },
];

export const ENVIRONMENT: readonly Entry[] = [
  {
    term: 'VRING_DEFINITIONS_DIR',
    text: 'folder of the VM definitions; else `/etc/vring/vms` for root, `$XDG_CONFIG_HOME/vring/vms` or `~/.config/vring/vms` for others',
  },
  {
    term: 'VRING_RUNTIME_DIR',
    text: "folder of the manager's socket; else `/run/vring` for root, `$XDG_RUNTIME_DIR/vring` or `/tmp/vring-UID` for others",
  },
  {
    term: 'VRING_STATE_DIR',
    text: "folder of the manager's log; else `/var/lib/vring` for root, `$XDG_STATE_HOME/vring` or `~/.local/state/vring` for others",
  },
  { term: 'VISUAL, EDITOR', text: 'the editor of `vring vm edit`; else `vi`' },
  { term: 'NO_COLOR', text: 'when set, the UI has no colors' },
  { term: 'VRING_DEBUG', text: 'when set, an error comes with its stack' },
];

export const FILES: readonly Entry[] = [
  {
    term: '/etc/vring/vms/NAME.yaml',
    text: "root's definition of the VM `NAME`; the one before it is `NAME.yaml~`",
  },
  { term: '~/.config/vring/vms/NAME.yaml', text: "another user's" },
  { term: '/run/vring/control.sock', text: "the socket of root's manager" },
  { term: '/var/lib/vring/manager.log', text: 'what a manager in the background wrote' },
];
