/** How Ink's Text draws something. */
export type Style = {
  readonly color?: string;
  readonly backgroundColor?: string;
  readonly bold?: boolean;
  readonly dimColor?: boolean;
  readonly underline?: boolean;
  readonly inverse?: boolean;
};

/** The meaning of a text; components use this, never a color. */
export type Token =
  | 'text.primary'
  | 'text.secondary'
  | 'text.accent'
  | 'text.heading'
  | 'status.ok'
  | 'status.warning'
  | 'status.error'
  | 'selection'
  /** A line across the screen that reports a problem. */
  | 'banner'
  | 'focus'
  | 'key'
  | 'time.guest'
  | 'time.kvm'
  | 'time.devices';

export type Styles = Readonly<Record<Token, Style>>;
