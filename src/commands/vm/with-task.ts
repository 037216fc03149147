import type { Engine } from '../../engine/engine.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { printError } from '../../text/output.ts';
import { describeTask } from '../../view/vm-task.ts';
import { Progress } from './progress.ts';

/** Shows progress. Ctrl-C cancels the operation; a second one leaves without waiting. */
export async function withTask<Result>(
  engine: Pick<Engine, 'vms' | 'cancelTask'>,
  id: string,
  doing: string,
  run: () => Promise<Result>,
): Promise<Result> {
  const vm = (): VmInfo | undefined => engine.vms().find(vm => vm.id === id);
  const progress = new Progress(() => {
    const task = vm()?.task;
    return task === undefined ? `${doing} ${id}` : `${doing} ${id}: ${describeTask(task)}`;
  });
  const cancel = () => {
    process.off('SIGINT', cancel);
    engine.cancelTask(id).catch((error: Error) => printError(`vring: ${error.message}`));
  };
  process.on('SIGINT', cancel);
  try {
    return await run();
  } finally {
    process.off('SIGINT', cancel);
    progress.end();
  }
}
