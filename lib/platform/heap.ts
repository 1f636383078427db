/** Keeps the heap of a process that runs for months near what it really holds. The door to V8's flags. @module */
import { setFlagsFromString } from "node:v8";

/**
 * Lets the heap grow by this share of what the last collection found alive, before the next one.
 *
 * V8 itself takes up to four times what is alive where the host has much memory: a storm of short-lived records then looks
 * like a leak. Less memory costs time: collections come as much more often.
 *
 * @param percent More than 0; 60 keeps 20 MB alive within about 32 MB.
 */
export function limitHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${Math.max(1, Math.round(percent))}`);
}

/**
 * Lets the young part of the heap be collected by the main thread alone.
 *
 * V8 wakes up to four threads for each of these collections, which last one or two milliseconds: with 1,000 workers they
 * cost a monitor 0.24 s of processor time a minute beside 0.60 of its own. Other parts of the collector may not be
 * changed in a process that runs.
 */
export function collectAlone(): void {
  setFlagsFromString("--no-parallel-scavenge");
}

/**
 * Lets functions that run often be compiled anew, by V8's optimizing compiler in threads beside this one, or not.
 *
 * What is compiled already stays.
 */
export function compileInBackground(allowed: boolean): void {
  setFlagsFromString(allowed ? "--turbofan" : "--no-turbofan");
}
