/** The known keyboard layouts, by their names in X and Linux. */
export const LAYOUT_NAMES = ['us', 'uk', 'de', 'fr', 'es', 'it'] as const;

export type LayoutName = (typeof LAYOUT_NAMES)[number];

export const DEFAULT_LAYOUT: LayoutName = 'us';
