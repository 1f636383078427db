/**
 * Guarantee: every key of failure-pattern's policy does what its name says, and does it for what is published already once the
 * policy is changed.
 */
import { describe, expect, test } from "vitest";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { isOpenToFixes } from "../../lib/schema/pattern.js";
import { PatternWorld } from "./failure-pattern-world.js";
import { withEveryCrash } from "./simulation.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const says = (error: string): object => ({ data: { exit_code: 1, error } });
const snapshots = (world: PatternWorld): PatternRecord[] => [...world.snapshots.values()];

/** Four failures each of two sentences that differ in one word of eight. */
function twoSentences(world: PatternWorld): void {
  for (let nth = 1; nth <= 8; nth++) {
    const step = nth % 2 === 0 ? "reading" : "writing";
    world.exits(`worker-scan-${nth}`, 1, says(`the frobnicator gave up while ${step} its hopper`));
    world.pass(MINUTE_MS);
  }
}

describe("detection.similarity_threshold", () => {
  const totals = (similarity_threshold: number): number[] => {
    const world = new PatternWorld([], { detection: { similarity_threshold } });
    twoSentences(world);
    return world.patterns.map(({ history }) => history.total).sort();
  };

  test("makes one pattern of sentences that have so many words in common, and two of those that have not", () => {
    expect(totals(0.85)).toEqual([8]);
    expect(totals(0.9)).toEqual([4, 4]);
    expect(totals(1)).toEqual([4, 4]);
  });

  test("throws types of failure, types of worker and what is no sentence never together", () => {
    const world = new PatternWorld([], { detection: { similarity_threshold: 0 } });
    for (let nth = 1; nth <= 3; nth++) {
      world.exits(`worker-scan-${nth}`, 1, says("connect ECONNREFUSED 10.0.0.1:5432"));
      world.exits(`worker-load-${nth}`, 1, {
        ...says("connect ECONNREFUSED 10.0.0.1:5432"),
        worker_type: "load-worker",
      });
      world.exits(`worker-scan-a${nth}`, 1, says("ENOSPC: no space left on device, write"));
      world.exits(`worker-scan-b${nth}`, 1, { data: { exit_code: 1, error: "a b", fingerprint: "one" } });
      world.exits(`worker-scan-c${nth}`, 1, { data: { exit_code: 1, error: "a b", fingerprint: "two" } });
    }
    expect(world.patterns.map(({ history }) => history.total)).toEqual([3, 3, 3, 3, 3]);
  });

  test("joins the same patterns whenever the daemon is killed", async () => {
    const run = async (crashAfter: readonly number[]) => {
      const world = new PatternWorld(crashAfter);
      twoSentences(world);
      await world.simulation.settle();
      const end = world.patterns.map(({ pattern_id, history }) => [pattern_id, history.total]);
      return { performed: world.simulation.performed, end };
    };
    const end = await withEveryCrash(run, (crashed, calm) => expect(crashed).toEqual(calm));
    expect(end).toHaveLength(1);
  });
});

describe("detection.confidence_threshold", () => {
  const world = (): PatternWorld => {
    const made = new PatternWorld();
    for (let nth = 1; nth <= 3; nth++) made.exits(`worker-scan-${nth}`, 1, says("the operation timed out"));
    return made;
  };

  test("keeps from fixes what is not so sure, and shows it to people all the same", () => {
    const [found] = snapshots(world());
    expect(found).toMatchObject({ status: "active", confidence: 0.6, actionable: false });
    expect(isOpenToFixes(found as PatternRecord)).toBe(false);
  });

  test("opens it to fixes when it is lowered, without another failure", () => {
    const made = world();
    made.setPolicy({ detection: { confidence_threshold: 0.6 } });
    expect(snapshots(made).map(isOpenToFixes)).toEqual([true]);
    made.setPolicy({ detection: { confidence_threshold: 0.61 } });
    expect(snapshots(made).map(isOpenToFixes)).toEqual([false]);
  });
});

describe("anomaly_detection", () => {
  /** Two failures a day for six days, and many on the seventh. */
  const anomaly = (anomaly_detection: object): unknown => {
    const world = new PatternWorld([], { anomaly_detection, detection: { time_window_hours: 240 } });
    let attempt = 0;
    for (let day = 0; day < 7; day++)
      for (let nth = 0; nth < 12; nth++) {
        if (nth < 2 || day === 6) world.exits("worker-scan-1", ++attempt);
        world.pass(2 * HOUR_MS);
        if (day === 6 && nth === 11) return snapshots(world)[0]?.temporal?.anomaly;
      }
    return null;
  };

  // (2√12.375 − 2√2.375) / √(1 + 1/6) = 3.66, and with three days 3.42.
  test("sigma_threshold decides which day stands out", () => {
    expect(anomaly({ sigma_threshold: 3 })).toEqual({
      day: "2026-11-27",
      occurrences: 12,
      usual_per_day: 2,
      sigmas: 3.7,
    });
    expect(anomaly({ sigma_threshold: 4 })).toBeUndefined();
  });

  test("baseline_window_days decides with how many days it is compared", () => {
    expect(anomaly({ sigma_threshold: 3.55 })).toMatchObject({ sigmas: 3.7 });
    expect(anomaly({ sigma_threshold: 3.55, baseline_window_days: 3 })).toBeUndefined();
  });

  test("says nothing when it is off", () => {
    expect(anomaly({ enabled: false, sigma_threshold: 1 })).toBeUndefined();
  });
});

describe("prediction", () => {
  /** A failure about every two hours. */
  const world = (prediction: object): PatternWorld => {
    const made = new PatternWorld([], { prediction, detection: { time_window_hours: 240 } });
    for (let attempt = 1; attempt <= 60; attempt++) {
      made.exits("worker-scan-1", attempt);
      made.pass((118 + (attempt % 5)) * MINUTE_MS);
    }
    made.exits("worker-scan-1", 61);
    made.pass(MINUTE_MS);
    return made;
  };
  const forecast = (prediction: object): PatternRecord["forecast"] => snapshots(world(prediction))[0]?.forecast;

  test("confidence_threshold: no forecast is less sure, and none is given where none can be so sure", () => {
    const [some, sure] = [forecast({ confidence_threshold: 0.5 }), forecast({ confidence_threshold: 0.95 })];
    expect(some?.probability).toBeGreaterThanOrEqual(0.5);
    expect(sure?.probability).toBeGreaterThanOrEqual(0.95);
    expect(Date.parse(String(sure?.expected_before))).toBeGreaterThan(Date.parse(String(some?.expected_before)));
    expect(forecast({ confidence_threshold: 0.99 })).toBeUndefined();
  });

  test("horizon_minutes and minimum_similar_samples: which windows are scored, and from how many gaps on", () => {
    expect(forecast({ horizon_minutes: 15 })).toMatchObject({ horizon_minutes: 15 });
    expect(forecast({ horizon_minutes: 15 })?.samples).toBeGreaterThan(1.5 * (forecast({})?.samples ?? 0));
    expect(forecast({ minimum_similar_samples: 55 })).toBeUndefined();
  });

  test("enabled: off, nothing is foretold, in the sentence neither", () => {
    const made = world({});
    expect(snapshots(made)[0]?.message).toContain("next expected before");
    made.setPolicy({ prediction: { enabled: false }, detection: { time_window_hours: 240 } });
    expect(snapshots(made)[0]?.forecast).toBeUndefined();
    expect(snapshots(made)[0]?.message).not.toContain("next expected");
  });
});

describe("temporal_analysis", () => {
  /** At nine in Chicago for twelve days. */
  const world = (temporal_analysis: object): PatternRecord["temporal"] => {
    const made = new PatternWorld([], { temporal_analysis, detection: { time_window_hours: 480 } });
    made.pass(15 * HOUR_MS);
    for (let attempt = 1; attempt <= 12; attempt++) {
      made.exits("worker-scan-1", attempt);
      made.pass(DAY_MS);
    }
    return snapshots(made)[0]?.temporal;
  };

  test("time_zones: on whose clock the hour is told", () => {
    expect(world({ time_zones: ["America/Chicago"] })).toMatchObject({ peak_hour: 9.5, time_zone: "America/Chicago" });
    expect(world({ time_zones: [] })).toMatchObject({ peak_hour: 15.5, time_zone: "UTC" });
  });

  test("clustering_significance and enabled: from when on it is told, and whether at all", () => {
    expect(world({ clustering_significance: 1e-9 })?.peak_hour).toBeUndefined();
    expect(world({ enabled: false })?.peak_hour).toBeUndefined();
  });
});

describe("correlation_analysis", () => {
  /** A load worker fails four minutes after a scan worker, so many times after the first. */
  const world = (correlation_analysis: object, times = 4): PatternWorld => {
    const made = new PatternWorld([], { correlation_analysis, detection: { time_window_hours: 480 } });
    for (let attempt = 1; attempt <= times + 1; attempt++) {
      made.exits("worker-scan-1", attempt);
      made.pass(4 * MINUTE_MS);
      made.exits("worker-load-1", attempt, { worker_type: "load-worker" });
      made.pass(23 * HOUR_MS);
    }
    return made;
  };
  const follows = (made: PatternWorld): number[] =>
    snapshots(made).flatMap(({ correlation }) => (correlation?.follows ?? []).map((each) => each.occurrences));

  test("window_seconds: how far apart the two may be", () => {
    expect(follows(world({}))).toEqual([4]);
    expect(follows(world({ window_seconds: 120 }))).toEqual([]);
  });

  test("minimum_related_events: how often it must have been so", () => {
    expect(follows(world({ minimum_related_events: 4 }))).toEqual([4]);
    expect(follows(world({ minimum_related_events: 5 }))).toEqual([]);
    expect(follows(world({}, 2))).toEqual([2]);
    expect(follows(world({ minimum_related_events: 3 }, 2))).toEqual([]);
  });

  test("enabled: off, what was found before is no longer told either", () => {
    const made = world({});
    made.setPolicy({ correlation_analysis: { enabled: false }, detection: { time_window_hours: 480 } });
    expect(follows(made)).toEqual([]);
  });
});

describe("failure_categories", () => {
  const found = (failure_categories: object): PatternRecord[] => {
    const world = new PatternWorld([], { failure_categories });
    for (let attempt = 1; attempt <= 3; attempt++) world.exits("worker-scan-1", attempt);
    return snapshots(world);
  };

  test("types: a type named in one category leaves the one that it shipped in", () => {
    expect(found({})).toMatchObject([{ category: "systemic", type: "configuration_error" }]);
    expect(found({ setup: { types: ["configuration_error"] } })).toMatchObject([{ category: "setup" }]);
  });

  test("default_severity and retry_recommended: what is said of its patterns", () => {
    expect(found({})).toMatchObject([{ severity: "high", retry_recommended: false }]);
    expect(found({ systemic: { default_severity: "low", retry_recommended: true } })).toMatchObject([
      { severity: "low", retry_recommended: true },
    ]);
  });
});
