import { Box } from 'ink';
import { useAppState } from '../../components/contexts.ts';
import { FactLines } from '../../components/fact-lines.tsx';
import { HistogramBars } from '../../components/histogram-bars.tsx';
import { Section } from '../../components/section.tsx';
import type { QueueRates } from '../../engine/sampling/rates.ts';
import type { Size } from '../../store/ui-slice.ts';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { bytes, count, percent, rate } from '../../text/units.ts';
import { throttledFacts } from '../../view/device-rows.ts';
import { type Fact, fact, factLines } from '../../view/facts.ts';
import { listAndDetails } from './list-and-details.ts';
import type { PaneProps } from './pane-props.ts';
import { QueueTable } from './queue-table.tsx';

/** The virtqueues; below, the one under the cursor, and how long its requests take. */
export function QueuesTab({ id, size }: PaneProps) {
  const queues = useAppState(state => (state.detail?.id === id ? state.detail.rates.queues : null)) ?? [];
  const cursor = useAppState(state => vmViewOf(state, id).cursors.queues);
  const queue = queues[Math.min(cursor, queues.length - 1)];
  const { list, details } = listAndDetails(size, queues.length);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <QueueTable id={id} size={list} cursor={cursor} />
      {details && queue && <QueueDetails queue={queue} size={details} />}
    </Box>
  );
}

const FACT_COLUMNS = 36;

function QueueDetails({ queue, size: { columns, rows } }: { queue: QueueRates; size: Size }) {
  const histogram = columns - FACT_COLUMNS;
  return (
    <Box flexDirection="column" height={rows} overflow="hidden">
      <Section
        title={`${queue.device} ${queue.queue}: request latency in the last sample`}
        columns={columns}
      />
      <Box height={rows - 1}>
        <FactLines
          lines={factLines(queueFacts(queue), FACT_COLUMNS - 1)}
          columns={FACT_COLUMNS}
          rows={rows - 1}
        />
        <HistogramBars
          counts={queue.latency}
          size={{ columns: histogram, rows: rows - 1 }}
          empty={queue.requests > 0 ? 'requests are not timed here' : 'no requests returned'}
        />
      </Box>
    </Box>
  );
}

function errorsText({ errors, diskErrors }: QueueRates): string {
  return `${rate(errors)}/s${diskErrors === 0 ? '' : `, ${count(diskErrors)} of the disk in total`}`;
}

function queueFacts(queue: QueueRates): Fact[] {
  const suppressed = (asked: number, spared: number) =>
    asked + spared === 0 ? 'none' : `${rate(asked)}/s, ${percent(spared / (asked + spared))} suppressed`;
  return [
    fact('Device', queue.type),
    fact('Size', `${queue.size} descriptors`),
    fact('In flight', `${queue.inFlight}, mean ${queue.depth.toFixed(1)}, max ${queue.maxInFlight}`),
    fact('Batch', queue.batch === null ? 'none' : queue.batch.toFixed(1)),
    fact('Kicks', suppressed(queue.kicks, queue.kicksSuppressed)),
    fact('Interrupts', suppressed(queue.interrupts, queue.interruptsSuppressed)),
    fact('To guest', `${bytes(queue.bytesToGuest)}/s`),
    fact('From guest', `${bytes(queue.bytesFromGuest)}/s`),
    fact('Requests', `${rate(queue.requests)}/s, ${count(queue.totalRequests)} in total`),
    ...(queue.dropped > 0 ? [fact('Dropped', `${rate(queue.dropped)}/s`, 'status.warning')] : []),
    ...throttledFacts(queue),
    fact(
      'Errors',
      errorsText(queue),
      queue.errors > 0 || queue.diskErrors > 0 ? 'status.error' : 'text.primary',
    ),
  ];
}
