/** Reads option values and says what is wrong with them. @module */
import { UsageError } from "../lib/errors.js";
import { isId } from "../lib/schema/primitives.js";
import type { OptionValues } from "./command.js";
import { readSeconds } from "./times.js";

export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

export function listOption(options: OptionValues, name: string): readonly string[] {
  const value = options[name];
  if (Array.isArray(value)) return value as readonly string[];
  return typeof value === "string" ? [value] : [];
}

export function flagOption(options: OptionValues, name: string): boolean {
  return options[name] === true;
}

/** @throws {UsageError} If it is given and no duration. */
export function secondsOption(options: OptionValues, name: string, flag: string): number | undefined {
  const text = textOption(options, name);
  return text === undefined ? undefined : readSeconds(text, flag);
}

/** @throws {UsageError} If it is given and no number within the bounds. */
export function numberOption(
  options: OptionValues,
  name: string,
  flag: string,
  bounds: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const number = text.trim() === "" ? Number.NaN : Number(text);
  const fits = number >= bounds.min && number <= bounds.max && (bounds.whole !== true || Number.isInteger(number));
  if (!fits)
    throw new UsageError(
      `${flag} must be a ${bounds.whole ? "whole " : ""}number from ${bounds.min} to ${bounds.max}, got ${JSON.stringify(text)}`,
    );
  return number;
}

/** @throws {UsageError} If it is no id: it would become a file name. */
export function checkedId(text: string, what: string): string {
  if (isId(text)) return text;
  throw new UsageError(
    `${what} must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$ and not contain .attempt-, got ${JSON.stringify(text)}`,
  );
}
