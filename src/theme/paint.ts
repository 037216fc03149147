import chalk, { type BackgroundColorName, type ChalkInstance, type ForegroundColorName } from 'chalk';
import type { Style } from './tokens.ts';

/** Adds the escape sequences of a style to a text, for a terminal of the color depth that Ink has found. */
export function painter(style: Style): (text: string) => string {
  const { color, backgroundColor, dimColor, bold, underline, inverse } = style;
  // The first one is the outermost, as with Ink's Text.
  let chain: ChalkInstance = chalk;
  if (inverse) chain = chain.inverse;
  if (underline) chain = chain.underline;
  if (bold) chain = chain.bold;
  if (backgroundColor) chain = chain[backgroundName(backgroundColor)];
  if (color) chain = chain[color as ForegroundColorName];
  if (dimColor) chain = chain.dim;
  return chain === chalk ? text => text : text => chain(text);
}

/** `bgRed` for `red`. */
function backgroundName(color: string): BackgroundColorName {
  return `bg${color.charAt(0).toUpperCase()}${color.slice(1)}` as BackgroundColorName;
}
