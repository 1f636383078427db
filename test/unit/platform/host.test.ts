import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type HostState, HostWatch, type Limits, limits, tightLimits } from "../../../lib/platform/host.js";

const AMPLE: Limits = {
  openFiles: { soft: 65_536, hard: 65_536 },
  inotify: { max_user_watches: 100_000, max_user_instances: 128 },
};

describe("tightLimits()", () => {
  test("says nothing of what is enough, unlimited or unknown", () => {
    expect(tightLimits(AMPLE)).toEqual([]);
    expect(
      tightLimits({
        openFiles: { soft: null, hard: null },
        inotify: { max_user_watches: null, max_user_instances: null },
      }),
    ).toEqual([]);
  });

  test("names each limit that will be met, and what to set", () => {
    expect(
      tightLimits({
        openFiles: { soft: 256, hard: 4096 },
        inotify: { max_user_watches: 100, max_user_instances: 8 },
      }),
    ).toEqual([
      "only 256 open files are allowed; raise LimitNOFILE (ulimit -n) to 1024 or more",
      "only 8 inotify instances are allowed; raise fs.inotify.max_user_instances to 32 or more",
      "only 100 inotify watches are allowed; raise fs.inotify.max_user_watches to 512 or more",
    ]);
  });
});

test("limits() reads what holds for this process", () => {
  expect(limits().openFiles.soft).toBeGreaterThan(0);
  expect(limits().inotify.max_user_instances).toBeGreaterThan(0);
});

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
