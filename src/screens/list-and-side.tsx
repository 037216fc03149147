import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { useTheme } from '../components/contexts.ts';
import { FactLines } from '../components/fact-lines.tsx';
import { Section } from '../components/section.tsx';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { type Fact, factLines } from '../view/facts.ts';
import type { Split } from './split.ts';

type ListAndSideProps = {
  readonly size: Size;
  readonly split: Split;
  /** The title of the row under the cursor, above its facts. */
  readonly title: string;
  readonly facts: readonly Fact[];
  readonly children: ReactNode;
};

/** A list, and the details of the row under the cursor: beside it, or below it on a narrow terminal. */
export function ListAndSide({ size, split, title, facts, children }: ListAndSideProps) {
  return (
    <Box flexDirection={split.beside ? 'row' : 'column'} width={size.columns} height={size.rows}>
      <Box flexDirection="column" width={split.list.columns} height={split.list.rows} overflow="hidden">
        {children}
      </Box>
      {split.beside && <SideRule rows={size.rows} />}
      {split.details && <Details title={title} facts={facts} size={split.details} ruled={!split.beside} />}
    </Box>
  );
}

function SideRule({ rows }: { rows: number }) {
  const { style, glyphs } = useTheme();
  return (
    <Box width={1} height={rows}>
      <Text {...style('text.secondary')}>{Array.from({ length: rows }, () => glyphs.side).join('\n')}</Text>
    </Box>
  );
}

type DetailsProps = {
  readonly title: string;
  readonly facts: readonly Fact[];
  readonly size: Size;
  /** Whether its title is on a rule, which takes a line. */
  readonly ruled: boolean;
};

function Details({ title, facts, size: { columns, rows }, ruled }: DetailsProps) {
  return (
    <Box flexDirection="column" width={columns} height={rows + (ruled ? 1 : 0)} overflow="hidden">
      {ruled ? <Section title={title} columns={columns} /> : <SideTitle title={title} columns={columns} />}
      <FactLines lines={factLines(facts, columns - 1)} columns={columns} rows={ruled ? rows : rows - 1} />
    </Box>
  );
}

function SideTitle({ title, columns }: { title: string; columns: number }) {
  const { style } = useTheme();
  return (
    <Text wrap="truncate" {...style('text.heading')}>
      {pad(` ${title}`, columns, 'left', '')}
    </Text>
  );
}
