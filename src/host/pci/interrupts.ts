import type { HostRoot } from '../root.ts';
import { integer, printable } from '../text.ts';

export type PciInterrupt = {
  /** Linux interrupt number. */
  readonly irq: number;
  readonly kind: 'msi-x' | 'msi' | 'intx';
  /** Its handler's name in /proc/interrupts; empty if there is none. */
  readonly name: string;
  /** Interrupts since boot, on all CPUs. */
  readonly count: number;
};

type Row = { readonly name: string; readonly count: number };

/** The function's MSI and MSI-X interrupts; without any, its INTx line if a driver uses it. */
export function readInterrupts(root: HostRoot, devicePath: string): PciInterrupt[] {
  const rows = interruptRows(root.text('/proc/interrupts', 16 << 20) ?? '');
  const vectors = (root.list(`${devicePath}/msi_irqs`) ?? []).map(Number).sort((a, b) => a - b);
  if (vectors.length > 0) {
    return vectors.map(irq => {
      const kind = root.attribute(`${devicePath}/msi_irqs/${irq}`) === 'msi' ? 'msi' : 'msi-x';
      return { irq, kind, ...(rows.get(irq) ?? { name: '', count: 0 }) };
    });
  }
  const line = integer(root.attribute(`${devicePath}/irq`));
  const row = line === null ? undefined : rows.get(line);
  return line !== null && row ? [{ irq: line, kind: 'intx', ...row }] : [];
}

/**
 * `/proc/interrupts`: a heading with one column per CPU, then `irq: counts... chip hwirq-type names`. The
 * trigger type (edge or level) comes before the names.
 */
function interruptRows(text: string): Map<number, Row> {
  const [heading = '', ...lines] = text.split('\n');
  const cpus = heading.trim().split(/\s+/).filter(Boolean).length;
  const rows = new Map<number, Row>();
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    const irq = /^(\d+):$/.exec(words[0] ?? '');
    if (irq === null) continue;
    const count = words.slice(1, 1 + cpus).reduce((sum, word) => sum + (Number(word) || 0), 0);
    const trigger = words.findIndex(word => /-?(edge|level|fasteoi)$/i.test(word));
    const name = trigger < 0 ? '' : words.slice(trigger + 1).join(' ');
    rows.set(Number(irq[1]), { name: printable(name), count });
  }
  return rows;
}
