import { Box, type Instance, render } from 'ink';
import { type Clock, systemClock } from './clock.ts';
import { AboutOverlay } from './components/about-overlay.tsx';
import { ThemeContext, UiContext, useAppState } from './components/contexts.ts';
import { Dialog } from './components/dialog.tsx';
import { ErrorBoundary } from './components/error-boundary.tsx';
import { Header } from './components/header.tsx';
import { HelpOverlay } from './components/help-overlay.tsx';
import { KeyBar } from './components/key-bar.tsx';
import { LinkBanner } from './components/link-banner.tsx';
import { PlanDialog } from './components/plan-dialog.tsx';
import { StatusLine } from './components/status-line.tsx';
import { TextOverlay } from './components/text-overlay.tsx';
import type { Engine } from './engine/engine.ts';
import { inputSink } from './keys/handle-key.ts';
import { TerminalInput } from './keys/terminal-input.ts';
import { ScreenPicture } from './screens/screens.tsx';
import { bodyRows, currentScreen, type Screen, type Size } from './store/ui-slice.ts';
import { openTerminal } from './terminal.ts';
import { detectTheme, type ThemeOptions } from './theme/detect.ts';
import { Ui, type UiSettings } from './ui.ts';

/** The whole picture. */
export function App() {
  const screen = useAppState(currentScreen);
  const { columns, rows } = useAppState(state => state.size);
  const layers = useAppState(state => state.layers.length);
  const size = { columns, rows: useAppState(bodyRows) };
  // Whatever was wrong with a picture: another one is worth a try.
  const attempt = JSON.stringify([screen, size, layers]);
  return (
    <Box flexDirection="column" width="100%" height={rows} overflow="hidden">
      <ErrorBoundary attempt={attempt}>
        <Header screen={screen} columns={columns} />
        <LinkBanner columns={columns} />
        <Box width={columns} height={size.rows} overflow="hidden">
          <ErrorBoundary attempt={attempt}>
            <Body screen={screen} size={size} />
          </ErrorBoundary>
        </Box>
        <StatusLine columns={columns} />
        <KeyBar columns={columns} />
      </ErrorBoundary>
    </Box>
  );
}

function Body({ screen, size }: { screen: Screen; size: Size }) {
  const layer = useAppState(state => state.layers.at(-1));
  if (layer?.kind === 'help') return <HelpOverlay offset={layer.offset} size={size} />;
  if (layer?.kind === 'about') return <AboutOverlay id={layer.id} offset={layer.offset} size={size} />;
  if (layer?.kind === 'text') return <TextOverlay layer={layer} size={size} />;
  if (layer?.kind === 'plan') return <PlanDialog layer={layer} size={size} />;
  return (
    <>
      <ScreenPicture screen={screen} size={size} />
      {layer?.kind === 'dialog' && <Dialog layer={layer} size={size} />}
    </>
  );
}

export type UiOptions = ThemeOptions &
  UiSettings & {
    readonly engine: Engine;
    /** Opens this VM's screen instead of the list. */
    readonly open?: string;
    readonly stdin?: NodeJS.ReadStream;
    readonly stdout?: NodeJS.WriteStream;
    readonly env?: NodeJS.ProcessEnv;
    readonly clock?: Clock;
  };

const RENDER_OPTIONS = {
  interactive: true,
  alternateScreen: true,
  incrementalRendering: true,
  exitOnCtrlC: false,
  patchConsole: false,
} as const;

const HOME_AND_ERASE = '\x1b[H\x1b[2J';

/**
 * Shows the UI on a terminal until the user leaves it, or the process is asked to end. The terminal is then as it was;
 * what becomes of the VMs is for the caller to say.
 */
export async function runUi(options: UiOptions): Promise<void> {
  const { engine, stdin = process.stdin, stdout = process.stdout, env = process.env } = options;
  const clock = options.clock ?? systemClock;
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  let picture: Instance | null = null;
  const repaint = () => {
    picture?.clear();
    stdout.write(HOME_AND_ERASE);
    picture?.rerender(tree);
  };
  const ui = new Ui(engine, { quit: leave, repaint }, clock, options);
  const input = new TerminalInput(inputSink(ui), clock);
  const tree = (
    <ThemeContext value={detectTheme(env, options)}>
      <UiContext value={ui}>
        <App />
      </UiContext>
    </ThemeContext>
  );
  if (options.open !== undefined) ui.store.getState().openScreen({ kind: 'vm', id: options.open });
  const terminal = openTerminal(stdin, stdout, {
    typed: bytes => input.push(bytes),
    resized: size => ui.resize(size),
    ended: leave,
  });
  try {
    picture = render(tree, { stdin, stdout, ...RENDER_OPTIONS });
    // The picture ends by itself only by an error that nothing inside it could show.
    await Promise.race([left, picture.waitUntilExit()]);
    picture.unmount();
    await picture.waitUntilExit();
  } finally {
    terminal.close();
    await ui.close();
  }
}
