/** Guarantee: what is wrong with a worker's beats is said, and is not said at every beat. */
import { expect, test } from "vitest";
import { BeatRefusals } from "../../../daemons/heartbeat-monitor/beat-refusals.js";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const hear = (book: BeatRefusals, atMs: number, sentence = "progress must be <= 100, got 100.4"): number =>
  book.hear("w-1", "wrong_field", sentence, atMs);

test("one fault is said once, whatever the figures and the value in its sentence", () => {
  const book = new BeatRefusals();
  expect(hear(book, 0)).toBe(1);
  expect(hear(book, SECOND, "progress must be <= 100, got 100.9")).toBe(0);
  expect(hear(book, 2 * SECOND, 'progress must be <= 100, got "all"')).toBe(0);
});

test("another fault, and another worker's, is said at once", () => {
  const book = new BeatRefusals();
  hear(book, 0);
  expect(hear(book, SECOND, "activity must be a string, got 5")).toBe(1);
  expect(book.hear("w-1", "not_json", "line 1, column 5: not valid JSON", SECOND)).toBe(1);
  expect(book.hear("w-2", "wrong_field", "progress must be <= 100, got 100.4", SECOND)).toBe(1);
  expect(hear(book, 2 * SECOND)).toBe(0);
});

test("a fault that lasts is said again after an hour, with the number of beats", () => {
  const book = new BeatRefusals();
  let said = 0;
  for (let atMs = 0; atMs < HOUR; atMs += SECOND) said += hear(book, atMs);
  expect(said).toBe(1);
  expect(hear(book, HOUR)).toBe(3600);
  expect(hear(book, HOUR + SECOND)).toBe(0);
});

test("a fault that comes again after a faultless beat is said again, but not more often than once a minute", () => {
  const book = new BeatRefusals();
  hear(book, 0);
  book.recover("w-1");
  expect(hear(book, 59 * SECOND)).toBe(0);
  expect(hear(book, 60 * SECOND)).toBe(2);
  expect(hear(book, 200 * SECOND)).toBe(0);
});

test("what could not be told is told at the next beat", () => {
  const book = new BeatRefusals();
  hear(book, 0);
  book.forget("w-1");
  expect(hear(book, SECOND)).toBe(1);
});
