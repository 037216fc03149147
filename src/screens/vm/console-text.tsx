import { Text } from 'ink';
import { useTheme } from '../../components/contexts.ts';
import type { Span } from '../../console/console-screen.ts';
import { width } from '../../text/width.ts';

/** A line of a console. */
export function ConsoleText({ spans }: { spans: readonly Span[] }) {
  const { color, ascii } = useTheme();
  if (spans.length === 0) return <Text> </Text>;
  return (
    <Text wrap="truncate">
      {spans.map(({ text, color: foreground, backgroundColor, ...style }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: spans have no identity but their place
        <Text key={index} {...style} {...(color && { color: foreground, backgroundColor })}>
          {ascii ? asciiOnly(text) : text}
        </Text>
      ))}
    </Text>
  );
}

function asciiOnly(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, character => '?'.repeat(width(character)));
}
