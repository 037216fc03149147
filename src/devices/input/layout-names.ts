/** The keyboard layouts that are known, by the names that X and Linux have for them. */
export const LAYOUT_NAMES = ['us', 'uk', 'de', 'fr', 'es', 'it'] as const;

export type LayoutName = (typeof LAYOUT_NAMES)[number];

export const DEFAULT_LAYOUT: LayoutName = 'us';
