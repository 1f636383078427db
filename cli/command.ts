/** What a subcommand says about itself. Its module is loaded only when it is called. @module */

/** Values of options by their camelCase names; a flag is true, a repeatable option a list. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** One call of a subcommand. */
export interface Call {
  /** What `--home` said. */
  readonly homeFlag: string | undefined;
  readonly args: readonly string[];
  readonly options: OptionValues;
}

export interface OptionDefinition {
  /** As commander reads it: `-f, --follow`, `--type <type>`, `--env <name=value...>`. */
  readonly flags: string;
  readonly description: string;
}

export interface CommandDefinition {
  /** One line for the list of commands; for verbs of a group, and for `--help`. */
  readonly summary: string;
  /** More for `--help`: what it does not do, what it depends on. */
  readonly description?: string;
  /** As commander reads them: `<id>`, `[id...]`. */
  readonly arguments?: string;
  readonly options?: readonly OptionDefinition[];
  readonly examples: readonly string[];
  /** The verbs of a group such as `hold`; then there is no `run`. */
  readonly verbs?: Readonly<Record<string, CommandDefinition>>;
  /** Returns the exit code; nothing means 0. */
  readonly run?: (call: Call) => number | undefined | Promise<number | undefined>;
}

export const JSON_OPTION: OptionDefinition = { flags: "--json", description: "print JSON, times in UTC" };
export const YES_OPTION: OptionDefinition = {
  flags: "--yes",
  description: "do not ask, however many workers it is for",
};
