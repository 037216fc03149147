import { Box, Text } from 'ink';
import { Component, type ReactNode } from 'react';
import { printableLines } from '../text/printable.ts';

type Props = {
  readonly children: ReactNode;
  /** A new value lets the children try again. */
  readonly attempt: string;
};

/** Shows the error of a screen that could not be drawn. The VMs keep running, and keys keep working. */
export class ErrorBoundary extends Component<Props, { error: Error | null; attempt: string }> {
  override state = { error: null as Error | null, attempt: this.props.attempt };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  static getDerivedStateFromProps(props: Props, state: { attempt: string }) {
    return props.attempt === state.attempt ? null : { error: null, attempt: props.attempt };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <Box flexDirection="column" overflow="hidden">
        <Text bold>This screen could not be drawn. The VMs are not affected; Esc goes back, q quits.</Text>
        {printableLines(error.stack ?? error.message).map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text that stays
          <Text key={index} wrap="truncate">
            {line}
          </Text>
        ))}
      </Box>
    );
  }
}
