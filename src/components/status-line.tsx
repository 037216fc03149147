import { Text } from 'ink';
import { completions } from '../actions/command-line.ts';
import { cannotStart, deviceTroubles, type VmInfo } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import type { FieldLayer, PromptLayer } from '../store/layers.ts';
import { listOnScreen, shownFilter } from '../store/list-slice.ts';
import { showsHost } from '../store/ui-slice.ts';
import { pad, truncate, width } from '../text/width.ts';
import { filterRemark } from '../view/unknown-columns.ts';
import { useAppState, useTheme, useUi } from './contexts.ts';
import { TextField } from './text-field.tsx';

/**
 * The last line but one: the text being typed, else the last event, else why the VM under the cursor ended, else the
 * filter, else what cannot be read of the host.
 */
export function StatusLine({ columns }: { columns: number }) {
  const { style, glyphs } = useTheme();
  const { select } = useUi();
  const layer = useAppState(state => state.layers.at(-1));
  const notice = useAppState(state => state.notice);
  const trouble = useAppState(state => {
    const vm = select.targetVm(state);
    return vm === null ? '' : vmTrouble(vm);
  });
  const remark = useAppState(
    state => filterRemark(listOnScreen(state), shownFilter(state)) || hostTrouble(state),
  );
  if (layer?.kind === 'prompt' && !notice) return <Prompt layer={layer} columns={columns} />;
  if (layer?.kind === 'field') return <Field layer={layer} columns={columns} />;
  const [said, where] = notice
    ? [notice.text, notice.level === 'error' ? ' (:log)' : '']
    : [trouble || remark, trouble === '' ? '' : ' (d: about)'];
  const text = fitted(` ${said}`, where, columns, glyphs.ellipsis);
  const token = notice ? (notice.level === 'error' ? 'status.error' : 'text.accent') : 'text.secondary';
  return (
    <Text wrap="truncate" {...style(token)}>
      {text}
    </Text>
  );
}

/** A text in this many cells. If it is truncated, `where` says where to find all of it. */
function fitted(text: string, where: string, columns: number, ellipsis: string): string {
  if (width(text) <= columns) return pad(text, columns);
  return pad(text, columns - where.length, 'left', ellipsis) + where;
}

/** Why a VM cannot start or has ended, or which of its devices no longer works. */
function vmTrouble(vm: VmInfo): string {
  const obstacle = cannotStart(vm);
  if (obstacle !== null) return `${vm.name} cannot start: ${obstacle}`;
  if (vm.reason !== null) return `${vm.name} ${vm.state === 'crashed' ? '' : 'is '}${vm.state}: ${vm.reason}`;
  const [trouble] = deviceTroubles(vm);
  return trouble === undefined ? '' : `${vm.name}: ${trouble}`;
}

function hostTrouble(state: AppState): string {
  return showsHost(state) ? (state.hostLost ?? state.host?.general.problems[0] ?? '') : '';
}

/** The text being typed; if it is typed in a row, the prompt only. */
function Prompt({
  layer: { prompt, edit, fresh, inRowOf },
  columns,
}: {
  layer: PromptLayer;
  columns: number;
}) {
  const { style, glyphs } = useTheme();
  if (inRowOf === null)
    return <TextField prompt={` ${prompt}: `} edit={edit} columns={columns} isDefault={fresh} />;
  return (
    <Text wrap="truncate" {...style('key')}>
      {pad(` ${prompt}`, columns, 'left', glyphs.ellipsis)}
    </Text>
  );
}

type FieldProps = { readonly layer: FieldLayer; readonly columns: number };

function Field({ layer: { purpose, edit }, columns }: FieldProps) {
  const { style, glyphs } = useTheme();
  const ui = useUi();
  if (purpose !== 'command') return <TextField prompt="/" edit={edit} columns={columns} />;
  const half = Math.floor(columns / 2);
  const candidates = truncate(completions(ui, edit.text).join(' '), columns - half - 1, glyphs.ellipsis);
  return (
    <Text wrap="truncate">
      <TextField prompt=":" edit={edit} columns={half} />
      <Text {...style('text.secondary')}> {candidates}</Text>
    </Text>
  );
}
