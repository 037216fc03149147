import type { TerminalDriver } from './terminal-driver.ts';

const COLOURS: Readonly<Record<number, string>> = { 1: 'r', 2: 'g', 3: 'y', 4: 'b', 5: 'm', 6: 'c' };

/**
 * How each cell of the screen is drawn, in one letter: the first of its colour, a capital where it is bold; `i` inverse,
 * `b` bold, `d` dim, a blank for nothing of it.
 */
export function styleMap(driver: TerminalDriver): string[] {
  const { active } = driver.stdout.terminal.buffer;
  return Array.from({ length: driver.stdout.rows }, (_, row) => {
    const line = active.getLine(active.viewportY + row);
    return Array.from({ length: driver.stdout.columns }, (_, column) => {
      const cell = line?.getCell(column);
      if (cell === undefined) return ' ';
      if (cell.isInverse()) return 'i';
      const colour = cell.isFgPalette() ? (COLOURS[cell.getFgColor()] ?? '?') : null;
      if (colour !== null) return cell.isBold() ? colour.toUpperCase() : colour;
      return cell.isBold() ? 'b' : cell.isDim() ? 'd' : ' ';
    })
      .join('')
      .trimEnd();
  });
}

/** The screen with the style of each line below it, where it has one. */
export function styledScreen(driver: TerminalDriver): string {
  const styles = styleMap(driver);
  return driver.lines.flatMap((line, row) => (styles[row] ? [line, `~${styles[row]}`] : [line])).join('\n');
}
