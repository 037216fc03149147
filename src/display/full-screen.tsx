import { render, useApp } from 'ink';
import { type ReactNode, useEffect } from 'react';
import type { Display } from './display.ts';
import { inWholeFrames } from './whole-frames.ts';

const HOME_AND_ERASE = '\x1b[H\x1b[2J';

type Suspend = ReturnType<typeof useApp>['suspendTerminal'];

/** Draws on the whole terminal, on its alternate screen, and only writes what has changed. */
export function openFullScreen(
  children: ReactNode,
  stdin: NodeJS.ReadStream,
  stdout: NodeJS.WriteStream,
  written: (text: string) => void = () => {},
): Display {
  const frames = inWholeFrames(stdout, written);
  let suspend: Suspend | null = null;
  const tree = (
    <>
      <Suspender
        handOut={given => {
          suspend = given;
        }}
      />
      {children}
    </>
  );
  const picture = render(tree, {
    stdin,
    stdout: frames,
    interactive: true,
    alternateScreen: true,
    incrementalRendering: true,
    exitOnCtrlC: false,
    patchConsole: false,
    // Screen readers have a separate display.
    isScreenReaderEnabled: false,
  });
  const repaint = () => {
    picture.clear();
    frames.write(HOME_AND_ERASE);
    picture.rerender(tree);
  };
  return {
    ended: picture.waitUntilExit(),
    repaint,
    lend: async use => {
      await suspend?.(use);
      repaint();
    },
    close: async () => {
      picture.unmount();
      await picture.waitUntilExit();
    },
  };
}

/** Only components can suspend Ink's use of the terminal. */
function Suspender({ handOut }: { handOut: (suspend: Suspend) => void }) {
  const { suspendTerminal } = useApp();
  useEffect(() => handOut(suspendTerminal), [handOut, suspendTerminal]);
  return null;
}
