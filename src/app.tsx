import { Box } from 'ink';
import { type Picture, Ui, type UiSettings } from './actions/ui.ts';
import { type Clock, systemClock } from './clock.ts';
import { AboutOverlay } from './components/about-overlay.tsx';
import { ThemeContext, UiContext, useAppState, useTheme } from './components/contexts.ts';
import { Dialog } from './components/dialog.tsx';
import { ErrorBoundary } from './components/error-boundary.tsx';
import { FormOverlay } from './components/form-overlay.tsx';
import { Header } from './components/header.tsx';
import { HelpOverlay } from './components/help-overlay.tsx';
import { KeyBar } from './components/key-bar.tsx';
import { LinkBanner } from './components/link-banner.tsx';
import { PickList } from './components/pick-list.tsx';
import { PlanDialog } from './components/plan-dialog.tsx';
import { SortMenu } from './components/sort-menu.tsx';
import { StatusLine } from './components/status-line.tsx';
import { TextOverlay } from './components/text-overlay.tsx';
import { clipboardSequence } from './console/clipboard.ts';
import type { Display } from './display/display.ts';
import { openFullScreen } from './display/full-screen.tsx';
import { openSpoken, spokenSize } from './display/spoken.tsx';
import type { Engine } from './engine/engine.ts';
import { stopJob } from './job-control.ts';
import { inputSink } from './keys/handle-key.ts';
import { TerminalInput } from './keys/terminal-input.ts';
import { drained } from './screen/terminal/drained.ts';
import { PanePicture } from './screen/terminal/pane-picture.ts';
import { ScreenPicture } from './screens/screens.tsx';
import type { Screen } from './store/screens.ts';
import { bodyRows, currentScreen, type Size } from './store/ui-slice.ts';
import { openTerminal } from './terminal.ts';
import { detectTheme, isRemote, type ThemeOptions } from './theme/detect.ts';

/** Bytes per millisecond for pictures of VMs' screens. Over SSH, keys must not be stuck behind them on a slow line. */
const REMOTE_BYTES_PER_MS = 100;
const LOCAL_BYTES_PER_MS = 4000;

/** The whole UI. */
export function App() {
  const screen = useAppState(currentScreen);
  const { columns, rows } = useAppState(state => state.size);
  const layers = useAppState(state => state.layers.length);
  const { linear } = useTheme();
  const size = { columns, rows: useAppState(bodyRows) };
  // If drawing failed, a change of screen, size or layers is worth another attempt.
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
        {!linear && <KeyBar columns={columns} />}
      </ErrorBoundary>
    </Box>
  );
}

function Body({ screen, size }: { screen: Screen; size: Size }) {
  const { linear } = useTheme();
  const layer = useAppState(state => state.layers.at(-1));
  if (layer?.kind === 'help') return <HelpOverlay offset={layer.offset} size={size} />;
  if (layer?.kind === 'about') return <AboutOverlay id={layer.id} offset={layer.offset} size={size} />;
  if (layer?.kind === 'form') return <FormOverlay layer={layer} size={size} />;
  if (layer?.kind === 'text') return <TextOverlay layer={layer} size={size} />;
  if (layer?.kind === 'pick') return <PickList layer={layer} size={size} />;
  if (layer?.kind === 'plan') return <PlanDialog layer={layer} size={size} />;
  if (layer?.kind === 'dialog' && linear) return <Dialog layer={layer} size={size} />;
  if (layer?.kind === 'sort' && linear) return <SortMenu size={size} />;
  return (
    <>
      <ScreenPicture screen={screen} size={size} />
      {layer?.kind === 'dialog' && <Dialog layer={layer} size={size} />}
      {layer?.kind === 'sort' && <SortMenu size={size} />}
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

/**
 * Shows the UI on a terminal until the user leaves it, or the process is asked to end, and then restores the terminal.
 * The caller decides what happens to the VMs.
 * @throws when there is no theme of the requested name
 */
export async function runUi(options: UiOptions): Promise<void> {
  const { engine, stdin = process.stdin, stdout = process.stdout, env = process.env } = options;
  const clock = options.clock ?? systemClock;
  const theme = detectTheme(env, options);
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  let display: Display | null = null;
  const repaint = () => display?.repaint();
  const ofScreen =
    theme.color && !theme.ascii && !theme.linear
      ? new PanePicture({
          write: text => stdout.write(text),
          drained: () => drained(stdout),
          rows: () => stdout.rows || 24,
          bytesPerMs: isRemote(env) ? REMOTE_BYTES_PER_MS : LOCAL_BYTES_PER_MS,
          learned: () => ui.store.getState().vmScreenChanged(),
          ...{ clock, repaint },
        })
      : null;
  const lend = async (use: () => Promise<void>) => display?.lend(use);
  const picture: Picture = {
    ofScreen,
    quit: leave,
    repaint,
    lend: use => terminal.lend(() => (ofScreen === null ? lend(use) : ofScreen.lent(() => lend(use)))),
    stop: () => picture.lend(stopJob),
    copy: text => stdout.write(clipboardSequence(text)),
  };
  const ui = new Ui(engine, picture, clock, options);
  const input = new TerminalInput(inputSink(ui), clock);
  if (options.open !== undefined) ui.store.getState().openScreen({ kind: 'vm', id: options.open });
  if (theme.linear) holdStillAfterFirst(ui);
  const terminal = openTerminal(stdin, stdout, {
    typed: bytes => input.push(bytes),
    resized: size => {
      ui.resize(theme.linear ? spokenSize(size) : size);
      ofScreen?.resized();
    },
    ended: leave,
    stopAsked: () => void ui.attempt(picture.stop()),
    continued: repaint,
  });
  const tree = (
    <ThemeContext value={theme}>
      <UiContext value={ui}>
        <App />
      </UiContext>
    </ThemeContext>
  );
  try {
    display = theme.linear
      ? openSpoken(tree, stdin, stdout, clock)
      : openFullScreen(tree, stdin, stdout, text => ofScreen?.frameWritten(text));
    // The display only ends on its own after an error that it could not show.
    await Promise.race([left, display.ended]);
    ofScreen?.close();
    await display.close();
  } finally {
    terminal.close();
    await ui.close();
  }
}

/** A screen reader would read numbers out each time they change: they are frozen until the user releases them. */
function holdStillAfterFirst({ store }: Ui): void {
  const stop = store.subscribe(state => {
    if (state.sampledAt === 0) return;
    stop();
    state.setSampling({ paused: true });
  });
}
