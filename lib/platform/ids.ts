/** Draws ids that sort by time and are unique over processes without asking anybody. @module */

import { randomBytes } from "node:crypto";

const TIME_DIGITS = 9; // Base 36: good until the year 5188.
const COUNTER_DIGITS = 5;
const COUNTER_END = 36 ** COUNTER_DIGITS;

let processPart: string | null = null;
let counter = 0;

/**
 * Draws the base of an event id: time, a random part for this process, and a counter, in base 36 of fixed width.
 *
 * Ids of one process sort in the order in which they were drawn, ids of several processes by their millisecond.
 */
export function newEventIdBase(atMs: number): string {
  processPart ??= BigInt(`0x${randomBytes(5).toString("hex")}`)
    .toString(36)
    .padStart(8, "0");
  const time = Math.max(0, Math.floor(atMs)).toString(36).padStart(TIME_DIGITS, "0");
  const count = counter.toString(36).padStart(COUNTER_DIGITS, "0");
  counter = (counter + 1) % COUNTER_END;
  return `${time}-${processPart}-${count}`;
}
