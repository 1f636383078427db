/** Names, instants and numbers as they stand in files. @module */
import { z } from "zod";

/** The shape of a worker id, a worker type and a task id. Anything else is refused before it becomes a path. */
export const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Says whether a text may be used as an id: the pattern, and no `.attempt-` that would make file names ambiguous. */
export function isId(text: unknown): text is string {
  return typeof text === "string" && ID_PATTERN.test(text) && !text.includes(".attempt-");
}

export const idSchema = z.string().refine(isId, {
  error: "must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$ and not contain .attempt-",
});

/**
 * Reads an instant in any form that people and programs write: ISO 8601, extended or basic (`20261121T210804Z`), with
 * `Z`, `-06:00`, `-0600` or no zone (UTC), with or without a fraction, or epoch seconds or milliseconds (numbers above
 * 1e11 are milliseconds). Dates by week (`2026-W47-6`) or day of the year (`2026-325`) are none.
 *
 * @returns Wall-clock milliseconds, or null if it is not an instant.
 */
export function readInstant(value: unknown): number | null {
  if (typeof value === "number") return readEpoch(value);
  if (typeof value !== "string") return null;
  if (/^\d{9,13}(\.\d+)?$/.test(value)) return readEpoch(Number(value));
  const match = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?$/.exec(
    value.trim(),
  );
  if (!match) return readRareForm(value.trim());
  const [, date, time, zone] = match;
  return parsed(`${date}T${(time ?? "").replace(",", ".")}${readZone(zone)}`);
}

/** Of date and time each may have its marks or not; a time may be hours alone, or missing. */
const RARE_FORM =
  /^(\d{4})(-?)(\d{2})\2(\d{2})(?:[Tt ](\d{2})(?:(:?)(\d{2})(?:\6(\d{2})(?:[.,](\d+))?)?)?\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/** Whatever is not written as nearly everything is. */
function readRareForm(text: string): number | null {
  const match = RARE_FORM.exec(text);
  if (match === null) return null;
  const [, year, , month, day, hour = "00", , minute = "00", second = "00", fraction = "0", zone] = match;
  return parsed(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction}${readZone(zone)}`);
}

function parsed(iso: string): number | null {
  const atMs = Date.parse(iso);
  return Number.isNaN(atMs) ? null : atMs;
}

function readEpoch(value: number): number | null {
  if (!Number.isFinite(value) || value < 0) return null;
  return value > 1e11 ? value : value * 1000;
}

function readZone(zone: string | undefined): string {
  if (zone === undefined || zone === "z" || zone === "Z") return "Z";
  const digits = zone.slice(1).replace(":", "");
  return `${zone[0]}${digits.slice(0, 2)}:${digits.slice(2) || "00"}`;
}

/** An instant as it may stand in a file; use {@link readInstant} for its value. */
export const instantSchema = z.union([z.string(), z.number()]).refine((value) => readInstant(value) !== null, {
  error: "must be an instant such as 2026-11-21T21:08:04Z",
});

/** Writes an instant the way jq's `fromdate`, `date -d` and a shell all parse: UTC, to the second. */
export function writeInstant(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}

export const seconds = z
  .number()
  .min(0)
  .max(10 * 366 * 86_400);
export const positiveSeconds = z
  .number()
  .gt(0)
  .max(10 * 366 * 86_400);
export const count = z.number().int().min(0);
export const attemptSchema = z.number().int().min(0).max(1_000_000_000);
/** The form of a signal's name. Which of them are stop signals is said where they are used: an older file must be readable. */
export const signalSchema = z
  .string()
  .regex(/^SIG[A-Z0-9+-]{2,10}$/, { error: "must be a signal name such as SIGTERM" });
