import { type Command, Option } from 'commander';
import { LAYOUT_NAMES, type LayoutName } from '../../devices/input/layout-names.ts';
import { parseCount } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import { leaving, runningManager } from './manager.ts';
import type { ScreenOptions } from './screen.ts';
import type { VncOptions } from './vnc.ts';

const HOLD_MAX_MS = 60_000;

/** The commands of a VM's screen, keyboard and mouse. */
export function registerScreen(vm: Command): void {
  registerWatch(vm);
  registerScreenshot(vm);
  registerVnc(vm);
  registerSendKey(vm);
  registerType(vm);
}

function layoutOption(): Option {
  const text =
    "the keyboard layout of the guest's system (default: graphics.layout of its definition, VRING_LAYOUT, or us)";
  return new Option('--layout <name>', text).choices(LAYOUT_NAMES);
}

function registerWatch(vm: Command): void {
  const command = vm
    .command('screen')
    .argument('<vm>', 'a running or paused VM with a screen')
    .description("Show a VM's screen on the whole terminal; Ctrl-] leaves")
    .addOption(layoutOption())
    .option('--device <name>', "the screen's device, if the VM has several (default: the first)")
    .option('--view-only', 'send no keys to the guest')
    .action(async (name: string, options: ScreenOptions) => {
      const { watchScreen } = await import('./screen.ts');
      process.exitCode = await leaving(await runningManager(), engine => watchScreen(engine, name, options));
    });
  withManual(command, {
    text: [
      'Text modes are shown as characters. Graphics are shown in half blocks, two pixels per cell, or as ' +
        "pictures if the terminal reports kitty's graphics protocol or sixels. Graphics larger than the terminal " +
        'are scaled, text is cropped around the cursor.',
      'Keys go to the guest. Most terminals send characters, for which the keys of --layout are pressed; one ' +
        'with the kitty keyboard protocol sends the keys themselves. Ctrl-\\ opens a menu of keys that terminals ' +
        'do not send, such as Ctrl-Alt-Delete.',
    ],
    examples: [
      { command: 'vring vm screen web', does: 'look at the screen and type' },
      {
        command: 'vring vm screen web --layout de',
        does: 'the same for a guest with a German keyboard layout',
      },
    ],
  });
}

function registerScreenshot(vm: Command): void {
  const command = vm
    .command('screenshot')
    .argument('<vm>', 'a running or paused VM with a screen')
    .argument('<file>', 'the PNG file; - for standard output')
    .description("Save a picture of a VM's screen")
    .option('--device <name>', "the screen's device, if the VM has several (default: the first)")
    .action(async (name: string, file: string, options: { readonly device?: string }) => {
      const { screenshot } = await import('./screenshot.ts');
      await leaving(await runningManager(), engine => screenshot(engine, name, file, options));
    });
  withManual(command, {
    text: ["Text modes are drawn in the guest's own font. An existing file is replaced."],
    examples: [{ command: 'vring vm screenshot web screen.png', does: 'save the screen as a PNG file' }],
  });
}

function registerVnc(vm: Command): void {
  const command = vm
    .command('vnc')
    .argument('<vm>', 'a running or paused VM with a screen')
    .description("Offer a VM's screen, keyboard and mouse to VNC clients until Ctrl-C")
    .option(
      '--listen <address>',
      'auto (127.0.0.1, the first free port from 5900), unix:PATH, [HOST]:DISPLAY (5900 and up) or HOST::PORT',
      'auto',
    )
    .option(
      '--password-file <file>',
      "the password for clients: the file's first line, of which 8 characters count",
    )
    .option('--tls-cert <file>', 'encrypt by TLS with this certificate (PEM)')
    .option('--tls-key <file>', 'its key (PEM)')
    .addOption(layoutOption())
    .option('--device <name>', "the screen's device, if the VM has several (default: the first)")
    .option('--view-only', 'send nothing to the guest')
    // It ends when its standard input does: with the manager that started it.
    .addOption(new Option('--child', 'end with the manager, which has started it').hideHelp())
    .action(async (name: string, options: VncOptions) => {
      const { serveVnc } = await import('./vnc.ts');
      process.exitCode = await leaving(await runningManager(), engine => serveVnc(engine, name, options));
    });
  withManual(command, {
    text: [
      'Beyond loopback addresses and Unix sockets, a password and TLS (VeNCrypt X509Vnc) are required. A VNC ' +
        'password is short and shared by all clients: prefer a Unix socket or a loopback address, reached ' +
        'through `ssh -L`.',
      'The server ends with the VM. Several clients share the screen. Clients with extended key events send ' +
        'keys by position; for others, --layout maps characters to keys.',
    ],
    examples: [
      { command: 'vring vm vnc web', does: 'at 127.0.0.1:5900, or the next free port' },
      { command: 'vring vm vnc web --listen unix:/run/user/1000/web.vnc', does: 'at a socket, for ssh -L' },
      {
        command:
          'vring vm vnc web --listen 0.0.0.0:1 --password-file pw --tls-cert cert.pem --tls-key key.pem',
        does: 'for other hosts, encrypted',
      },
    ],
  });
}

function registerSendKey(vm: Command): void {
  const command = vm
    .command('send-key')
    .argument('<vm>', 'a running or paused VM')
    .argument('<keys...>', 'keys that are pressed together, joined by "-", such as ctrl-alt-delete')
    .description("Press keys on a VM's keyboard")
    .option('--hold-ms <ms>', 'how long keys are held (default: 100)', text =>
      parseCount(text, '--hold-ms', 0, HOLD_MAX_MS),
    )
    .action(async (name: string, keys: string[], options: { readonly holdMs?: number }) => {
      const { sendKeys } = await import('./send-key.ts');
      await leaving(await runningManager(), engine => sendKeys(engine, name, keys, options));
    });
  withManual(command, {
    text: [
      "Keys have the names of QEMU's sendkey (`ret`, `spc`, `pgup`, `kp_0`, `alt_r` ...) or those of " +
        "linux/input-event-codes.h (`KEY_LEFTCTRL`). A name means a key's position on a US keyboard: `y` is the " +
        'key labeled `z` on a German one. Several arguments are pressed one after the other.',
    ],
    examples: [
      { command: 'vring vm send-key web ctrl-alt-delete', does: 'press Ctrl-Alt-Delete' },
      { command: 'vring vm send-key web down down ret', does: 'choose the third entry of a menu' },
      { command: 'vring vm send-key web esc --hold-ms 2000', does: 'hold a key' },
    ],
  });
}

function registerType(vm: Command): void {
  const command = vm
    .command('type')
    .argument('<vm>', 'a running or paused VM')
    .argument('<text>', 'the text')
    .description("Type text on a VM's keyboard")
    .addOption(layoutOption())
    .option('--enter', 'press Enter after it')
    .option('--delay-ms <ms>', 'how long each key is held, and between keys (default: 20)', text =>
      parseCount(text, '--delay-ms', 0, HOLD_MAX_MS),
    )
    .action(
      async (
        name: string,
        text: string,
        options: { readonly layout?: LayoutName; readonly enter?: boolean; readonly delayMs?: number },
      ) => {
        const { typeText } = await import('./send-key.ts');
        await leaving(await runningManager(), engine => typeText(engine, name, text, options));
      },
    );
  withManual(command, {
    text: ['If the layout has no key for a character, nothing is typed.'],
    examples: [{ command: "vring vm type web 'ls /' --enter", does: "run a command in a guest's shell" }],
  });
}
