/** Guarantee: a worker's own thresholds are read back from an event as they were, in old words and new. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { heardIn, saidOf } from "../../../daemons/heartbeat-monitor/own-words.js";

const seconds = fc.option(fc.nat(10_000), { nil: undefined });
const own = fc.record({ interval_seconds: seconds, timeout_seconds: seconds, zombie_threshold_seconds: seconds });
const written = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("whatever they are, they come back, and the word that operators search for is not among them", () => {
  fc.assert(
    fc.property(own, (thresholds) => {
      const said = written(saidOf(thresholds));
      expect(JSON.stringify(said)).not.toMatch(/timeout|missed/);
      expect(written(heardIn(said))).toEqual(written(thresholds));
      expect(written(heardIn(written(thresholds)))).toEqual(written(thresholds));
    }),
  );
});

test.each([undefined, null, "x"])("an event without them (%s) has none", (said) => {
  expect(heardIn(said)).toEqual({});
});
