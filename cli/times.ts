/** Times as people write and read them: ages, local clock times, durations such as `90s`, `1h`, `2d`. @module */
import { UsageError } from "../lib/errors.js";
import { readInstant } from "../lib/schema/primitives.js";

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** How long, in the one unit that says enough: `42s`, `12m`, `5h`, `3d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

/** The local clock time; with the date when it was not today. */
export function localTime(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const time = at.toTimeString().slice(0, 8);
  if (at.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** An instant of a record as an age; `-` when there is none. */
export function age(instant: unknown, nowMs: number): string {
  const atMs = readInstant(instant);
  return atMs === null ? "-" : span(nowMs - atMs);
}

/** An instant of a record as what is left until then; `-` when there is none, `now` when it has passed. */
export function until(instant: unknown, nowMs: number): string {
  const atMs = readInstant(instant);
  if (atMs === null) return "-";
  return atMs <= nowMs ? "now" : `in ${span(atMs - nowMs)}`;
}

/** Reads `90`, `90s`, `15m`, `1h`, `2d`. @throws {UsageError} If it is none of these, or not positive. */
export function readSeconds(text: string, option: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)([smhd]?)$/.exec(text.trim());
  const seconds = match === null ? 0 : Number(match[1]) * (SECONDS[match[2] || "s"] ?? 1);
  if (seconds <= 0)
    throw new UsageError(`${option} must be a duration such as 90s, 15m or 1h, got ${JSON.stringify(text)}`);
  return seconds;
}

/** Reads an instant, or a duration before now. @throws {UsageError} If it is neither. */
export function readSince(text: string, option: string, nowMs: number): number {
  const atMs = /^\d{1,8}(\.\d+)?[smhd]?$/.test(text) ? nowMs - readSeconds(text, option) * 1000 : readInstant(text);
  if (atMs === null)
    throw new UsageError(
      `${option} must be a time such as 2026-11-21T21:08:04Z or an age such as 15m, got ${JSON.stringify(text)}`,
    );
  return atMs;
}
