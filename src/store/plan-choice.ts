/** An option that the user can still change while a plan is shown. */
export type PlanChoice<Option extends string = string> = {
  readonly option: Option;
  readonly key: string;
  readonly text: string;
  /** Null if it is not a switch; its text then shows the choice. */
  readonly on: boolean | null;
};
