/** How Ink's Text draws something. */
export type Style = {
  readonly color?: string;
  readonly backgroundColor?: string;
  readonly bold?: boolean;
  readonly dimColor?: boolean;
  readonly underline?: boolean;
  readonly inverse?: boolean;
};

/** What a piece of text means; components name this, never a color. */
export type Token =
  | 'text.primary'
  | 'text.secondary'
  | 'text.accent'
  | 'text.heading'
  | 'status.ok'
  | 'status.warning'
  | 'status.error'
  | 'selection'
  /** A line across the screen that says that something is wrong. */
  | 'banner'
  | 'focus'
  | 'key'
  | 'time.guest'
  | 'time.kvm'
  | 'time.devices';

export type Styles = Readonly<Record<Token, Style>>;
