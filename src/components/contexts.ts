import { createContext, use } from 'react';
import { useStore } from 'zustand';
import type { Ui } from '../actions/ui.ts';
import type { AppState } from '../store/app-store.ts';
import { createTheme, type Theme } from '../theme/theme.ts';

export const ThemeContext = createContext<Theme>(createTheme({ color: true, ascii: false }));
export const UiContext = createContext<Ui | null>(null);

export function useTheme(): Theme {
  return use(ThemeContext);
}

export function useUi(): Ui {
  const ui = use(UiContext);
  if (ui === null) throw new Error('there is no UiContext around this component');
  return ui;
}

/** A part of the state. The component is redrawn when, and only when, that part changes. */
export function useAppState<Part>(select: (state: AppState) => Part): Part {
  return useStore(useUi().store, select);
}
