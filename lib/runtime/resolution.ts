/** What a recording can tell: a policy that asks for more than was recorded is refused by its key. @module */
import { type Policy, settingsFor } from "../schema/policy.js";

/** A key whose value is finer, or reaches further back, than what was recorded. */
export interface TooFine {
  readonly key: string;
  readonly value: string;
  /** What the recording has instead, as it goes on after "the recording". */
  readonly recorded: string;
}

/** What was in force while it was recorded. */
export interface Recorded<Settings> {
  readonly policies: readonly Policy<Settings>[];
  /** From the first record to the last. */
  readonly spanSeconds: number;
}

/** The settings of the other policy, and those that were in force, for all types and for each that has its own. */
export function eachScope<Settings>(
  other: Policy<Settings>,
  { policies }: Recorded<Settings>,
): { readonly prefix: string; readonly wanted: Settings; readonly was: readonly Settings[] }[] {
  const scope = (prefix: string, type: string | null) => ({
    prefix,
    wanted: type === null ? other.settings : settingsFor(other, type),
    was: policies.map((policy) => (type === null ? policy.settings : settingsFor(policy, type))),
  });
  return [scope("", null), ...Object.keys(other.overrides).map((type) => scope(`overrides.${type}.`, type))];
}

/** A value below the smallest that was in force. */
export function below(
  key: string,
  wanted: number,
  was: readonly number[],
  recorded: (least: number) => string,
): TooFine[] {
  const least = Math.min(...was);
  return was.length > 0 && wanted < least ? [{ key, value: String(wanted), recorded: recorded(least) }] : [];
}

/** A window longer than what is remembered: the longest that was in force, or the whole recording where that is kept. */
export function beyond(key: string, wanted: number, remembered: number): TooFine[] {
  if (wanted <= remembered) return [];
  return [{ key, value: `${wanted} s`, recorded: `remembers ${Math.floor(remembered)} s` }];
}
