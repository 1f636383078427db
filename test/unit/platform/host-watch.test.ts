/** Guarantee: that the host goes down is learnt as soon as anything hints at it, and forgotten only by a word to the contrary. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type HostState, HostWatch } from "../../../lib/platform/host-watch.js";

describe("whether the host goes down", () => {
  let asked: ((state: HostState | Error) => Promise<void>)[];
  let hint: number | null;
  let changed: () => void;
  let isWatched: boolean;
  let signal: AbortSignal;
  let told: HostState[];
  let host: HostWatch;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    asked = [];
    hint = 1;
    isWatched = true;
    told = [];
    host = new HostWatch({
      onChange: () => told.push(host.state),
      hint: () => hint,
      watch: (onHint) => {
        changed = onHint;
        return { close: () => (isWatched = false) };
      },
      ask: (aborted) => {
        signal = aborted;
        return new Promise((resolve, reject) => {
          asked.push(async (answer) => {
            if (answer instanceof Error) reject(answer);
            else resolve(answer);
            await vi.advanceTimersByTimeAsync(0);
          });
        });
      },
    });
  });
  afterEach(() => {
    host.close();
    vi.useRealTimers();
  });

  const answer = (state: HostState | Error): Promise<void> | undefined => asked.at(-1)?.(state);
  const seconds = async (count: number): Promise<void> => {
    for (let nth = 0; nth < count; nth++) {
      await vi.advanceTimersByTimeAsync(1000);
      host.look();
      if (asked.length > 0) await answer("running");
    }
  };

  test("is asked every ten seconds, and each second where nothing hints at a change", async () => {
    await seconds(31);
    expect(asked).toHaveLength(4);
    hint = null;
    await seconds(10);
    expect(asked).toHaveLength(14);
  });

  test("is asked at the next look when the time of the units is another", async () => {
    await seconds(2);
    expect(asked).toHaveLength(1);
    hint = 2;
    await seconds(3);
    expect(asked).toHaveLength(2);
  });

  test("is asked twice when a unit starts or stops, since the first of them stops before systemd says so", async () => {
    changed();
    await answer("running");
    await vi.advanceTimersByTimeAsync(40);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10);
    expect(asked).toHaveLength(2);
    await answer("stopping");
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toHaveLength(2);
    expect(told).toEqual(["running", "stopping"]);
  });

  test("is asked less and less often while units start and stop all the time, once a second at last", async () => {
    const instants: number[] = [];
    for (let ms = 0; ms < 5000; ms += 10) {
      const before = asked.length;
      changed();
      if (asked.length > before) instants.push(ms);
      await answer("running");
      await vi.advanceTimersByTimeAsync(10);
      if (asked.length > before && instants.at(-1) !== ms) instants.push(ms + 10);
    }
    const apart = instants.slice(1).map((ms, nth) => ms - (instants[nth] as number));
    expect(apart).toEqual([50, 50, 50, 50, 50, 100, 200, 400, 800, 1000, 1000, 1000]);
  });

  test("is asked once more when it is wanted while an answer is awaited, which is of before", async () => {
    host.want();
    await vi.advanceTimersByTimeAsync(1500);
    host.want();
    expect(asked).toHaveLength(1);
    await answer("running");
    expect(asked).toHaveLength(2);
  });

  test("is not taken back by silence, only by a word to the contrary", async () => {
    host.want();
    await answer("stopping");
    await vi.advanceTimersByTimeAsync(1000);
    host.want();
    await answer("unknown");
    await vi.advanceTimersByTimeAsync(1000);
    host.want();
    await answer(new Error("no program can be started"));
    expect(host.state).toBe("stopping");
    await vi.advanceTimersByTimeAsync(1000);
    host.want();
    await answer("running");
    expect(told).toEqual(["stopping", "running"]);
  });

  test("has a first answer, also where nobody answers, and where it is closed", async () => {
    host.want();
    await answer(new Error("no program can be started"));
    await host.first;
    const other = new HostWatch({ onChange: () => undefined, ask: () => new Promise(() => undefined) });
    other.want();
    other.close();
    await other.first;
    expect(host.state).toBe("unknown");
  });

  test("is told to nobody after it was closed, and the question is given up", async () => {
    host.want();
    host.close();
    expect([signal.aborted, isWatched]).toEqual([true, false]);
    await answer("stopping");
    host.want();
    expect([told, asked.length]).toEqual([[], 1]);
  });
});

test("the host is known to run or not known, and never said to stop while this test runs", async () => {
  let changes = 0;
  const host = new HostWatch({ onChange: () => (changes += 1) });
  onTestFinished(() => host.close());
  expect(host.state).toBe("unknown");
  host.look();
  await host.first;
  const hasSystemd = existsSync("/run/systemd/system");
  expect([host.state, changes]).toEqual(hasSystemd ? ["running", 1] : ["unknown", 0]);
});
