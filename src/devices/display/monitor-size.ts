/** The shortest and the longest side of a monitor, in pixels. */
export const MONITOR_SIDE = { least: 64, most: 8192 } as const;

/** In pixels. */
export type MonitorSize = { readonly width: number; readonly height: number };

/**
 * The result of a resize request: the guest has been notified, and may follow in its own time; the screen sets its own
 * size, like a VGA's; or the adapter has too little memory for such a picture.
 */
export type ScreenResize = 'notified' | 'fixed' | 'memory';
