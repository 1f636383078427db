/** Guarantee: a daemon is told when the host begins to stop and when that is called off, and asks nothing where no systemd runs. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HostState } from "../../../lib/platform/host-watch.js";
import { HostSource } from "../../../lib/runtime/host-source.js";

let answer: HostState;
let asked: number;
let hinted: () => void;
let told: HostState[];
let source: HostSource;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  [answer, asked, told] = ["running", 0, []];
  source = sourceWith(true);
});
afterEach(() => {
  source.stop();
  vi.useRealTimers();
});

function sourceWith(isThere: boolean): HostSource {
  const made: HostSource = new HostSource(() => told.push(made.state), {
    hasSystemd: () => isThere,
    hint: () => 1,
    watch: (onHint) => {
      hinted = onHint;
      return { close: () => undefined };
    },
    ask: () => {
      asked += 1;
      return Promise.resolve(answer);
    },
  });
  return made;
}

const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000);

describe("whether the host goes down, for a daemon", () => {
  test("is known when the daemon has started, and told only when it begins to stop and when that is called off", async () => {
    await source.start();
    expect([source.state, told]).toEqual(["running", []]);
    answer = "stopping";
    hinted();
    await seconds(1);
    expect(told).toEqual(["stopping"]);
    answer = "running";
    await seconds(6);
    expect(told).toEqual(["stopping", "running"]);
  });

  test("is told also to one that starts while the host goes down", async () => {
    answer = "stopping";
    await source.start();
    expect([source.state, told]).toEqual(["stopping", ["stopping"]]);
  });

  test("is asked once a minute while nothing hints at it", async () => {
    await source.start();
    await seconds(600);
    expect(asked).toBe(11);
  });

  test("is not known, and costs no timer, where no systemd runs", async () => {
    source = sourceWith(false);
    await source.start();
    expect([source.state, asked, vi.getTimerCount()]).toEqual(["unknown", 0, 0]);
  });

  test("costs nothing any more when the daemon has stopped, also while it starts", async () => {
    const starting = source.start();
    source.stop();
    await starting;
    await seconds(120);
    expect([told, vi.getTimerCount()]).toEqual([[], 0]);
  });
});
