import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Arrival, GapBook } from "../../../daemons/heartbeat-monitor/gap-book.js";

const HOUR_MS = 3_600_000;
const AT = 500_000 * HOUR_MS + 1;

function arrival(arrivedMonoMs: number, more: Partial<Arrival> = {}): Arrival {
  return { attempt: 1, sequence: null, arrivedMonoMs, watchedFromMonoMs: 0, ...more };
}

describe("GapBook", () => {
  test("counts the gaps of a worker in buckets a fifth apart", () => {
    const book = new GapBook(AT);
    for (const at of [0, 1000, 2010, 3000, 33_000]) book.note("a", arrival(at));
    expect(book.takeAll()).toEqual([
      {
        worker_id: "a",
        attempt: 1,
        hour_ms: 500_000 * HOUR_MS,
        buckets: [
          [861, 3],
          [27_554, 1],
        ],
      },
    ]);
  });

  test("gives the counts of an hour when it is over, once, under the hour in which they were made", () => {
    const book = new GapBook(AT);
    book.note("a", arrival(0));
    book.note("a", arrival(1000));
    expect(book.turn(AT + HOUR_MS / 2)).toEqual([]);
    const later = AT + HOUR_MS;
    expect(book.turn(later)).toMatchObject([{ hour_ms: 500_000 * HOUR_MS }]);
    expect(book.turn(later)).toEqual([]);
    book.note("a", arrival(2000));
    expect(book.takeAll()).toMatchObject([{ hour_ms: 500_001 * HOUR_MS, buckets: [[861, 1]] }]);
  });

  test("leaves out what was not observed, and what lies between two attempts", () => {
    const book = new GapBook(AT);
    book.note("a", arrival(0));
    book.note("a", arrival(90_000, { watchedFromMonoMs: null }));
    book.note("a", arrival(94_000, { watchedFromMonoMs: 92_000 }));
    book.note("a", arrival(95_000, { attempt: 2 }));
    expect(book.takeAll()).toEqual([]);
    book.note("a", arrival(96_000, { attempt: 2 }));
    expect(book.takeAll()).toMatchObject([{ attempt: 2, buckets: [[861, 1]] }]);
  });

  test("counts the beats between two looks by their sequence, unless the sequence began anew", () => {
    const book = new GapBook(AT);
    book.note("a", arrival(0, { sequence: 7 }));
    book.note("a", arrival(5000, { sequence: 12 }));
    book.note("a", arrival(6000, { sequence: 1 }));
    book.note("a", arrival(7000, { sequence: 1e9 }));
    expect(book.takeAll()).toMatchObject([{ buckets: [[861, 7]] }]);
  });

  test("gives back what was counted of a worker that is gone, and forgets it", () => {
    const book = new GapBook(AT);
    for (const at of [0, 1000]) for (const id of ["a", "b"]) book.note(id, arrival(at));
    expect(book.forgetOthers(new Set(["b"])).map((hour) => hour.worker_id)).toEqual(["a"]);
    expect(book.takeAll().map((hour) => hour.worker_id)).toEqual(["b"]);
    expect(book.takeAll()).toEqual([]);
  });

  test("keeps at most a bucket for each quarter octave of a day, whatever the gaps", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { maxLength: 500 }), (gaps) => {
        const book = new GapBook(AT);
        let at = 0;
        book.note("a", arrival(at));
        for (const gap of gaps) {
          at += gap;
          book.note("a", arrival(at));
        }
        const buckets = book.takeAll()[0]?.buckets ?? [];
        expect(buckets.length).toBeLessThanOrEqual(107);
        expect(buckets.reduce((sum, [, count]) => sum + count, 0)).toBeLessThanOrEqual(gaps.length);
      }),
    );
  });
});
