/** What may still be chosen while a plan is shown. */
export type PlanChoice<Option extends string = string> = {
  readonly option: Option;
  readonly key: string;
  readonly text: string;
  /** Null: it is no switch, and its text says what is chosen. */
  readonly on: boolean | null;
};
