/** Guarantee: what a person asks to leave alone is left alone at once, and said once, when it is known what it says. */
import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { BLANK_FLEET } from "../../../daemons/heartbeat-monitor/decide.js";
import type { Event, FleetPart, HoldFacts } from "../../../daemons/heartbeat-monitor/facts.js";
import { HoldReader } from "../../../daemons/heartbeat-monitor/hold-reader.js";
import { Shelter } from "../../../daemons/heartbeat-monitor/shelter.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import type { Layout } from "../../../lib/store/layout.js";
import { temporaryLayout } from "../store/temporary-home.js";

let layout: Layout;
let fleet: FleetPart;
let said: string[];
let reader: HoldReader;

/** A monitor that starts: what its last run knew is in its state. */
function start(): void {
  const context = {
    layout,
    log: { info: () => undefined, warn: () => undefined },
    reporter: {
      news: (type: string, { reason, data }: { reason?: string; data: { hold: string } }) =>
        said.push(`${type} ${data.hold}${reason === undefined ? "" : ` ${reason}`}`),
    },
    part: () => fleet,
    offer: (event: Event) => {
      if (event.kind === "holds") fleet = { ...fleet, holds: event.holds };
    },
  } as unknown as DaemonContext<Event, unknown>;
  reader?.stop();
  reader = new HoldReader(context, new Shelter(context as never));
  reader.read();
}

function put(name: string, text: string): void {
  writeFileSync(join(layout.holdsDir, name), text);
  reader.read();
}

/** The names of the holds that forbid to end any worker now. */
function holdingAll(): string[] {
  const nowMs = Date.now();
  const isInForce = (hold: HoldFacts): boolean => hold.starts_at_ms <= nowMs && nowMs < hold.expires_at_ms;
  return fleet.holds.filter((hold) => hold.scope === "all" && isInForce(hold)).map(({ name }) => name);
}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.now(), toFake: ["Date", "setTimeout", "clearTimeout"] });
  onTestFinished(() => {
    reader.stop();
    vi.useRealTimers();
  });
  layout = temporaryLayout();
  fleet = BLANK_FLEET;
  said = [];
  start();
});

describe("a hold that does not parse", () => {
  test("holds everything from the first moment, and shouts once two seconds have not mended it", () => {
    put("bad", "garbage{");
    expect(holdingAll()).toEqual(["bad"]);
    expect(said).toEqual([]);
    for (let passedMs = 0; passedMs < 4000; passedMs += 100) {
      vi.advanceTimersByTime(100);
      expect(holdingAll()).toEqual(["bad"]);
    }
    expect(said).toEqual(["hold_defaulted bad unreadable", "hold_started bad unreadable"]);
  });

  test("and is finished in time is said as what it has become, alone", () => {
    put("w", '{"scope":"worker",');
    vi.advanceTimersByTime(500);
    put("w", '{"scope":"worker","name":"w","expires_at":"2190-01-01T00:00:00Z"}');
    expect(holdingAll()).toEqual([]);
    vi.advanceTimersByTime(10_000);
    expect(said).toEqual(["hold_started w"]);
  });

  test("and is gone before it was said leaves no word", () => {
    put("w", "{");
    rmSync(join(layout.holdsDir, "w"));
    reader.read();
    vi.advanceTimersByTime(10_000);
    expect([fleet.holds, said]).toEqual([[], []]);
  });

  test("while it is written anew is not said to be over, nor to begin again", () => {
    const text = '{"scope":"all","expires_at":"2190-01-01T00:00:00Z"}';
    put("all", text);
    put("all", text.slice(0, 20));
    expect(holdingAll()).toEqual(["all"]);
    put("all", text);
    expect(said).toEqual(["hold_started all"]);
  });

  test("is said by the next run of a monitor that was killed before it said anything", () => {
    put("bad", "{");
    vi.advanceTimersByTime(1000);
    start();
    vi.advanceTimersByTime(3000);
    expect(said).toEqual(["hold_defaulted bad unreadable", "hold_started bad unreadable"]);
    start();
    expect(said).toHaveLength(2);
  });
});

describe("a hold that begins later", () => {
  const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();
  const later = (from: number, to: number): string =>
    JSON.stringify({ scope: "all", starts_at: inSeconds(from), expires_at: inSeconds(to) });

  test("is said when it begins, and over when it ends, on the second", () => {
    put("night", later(5, 12));
    vi.advanceTimersByTime(4900);
    expect([holdingAll(), said]).toEqual([[], []]);
    vi.advanceTimersByTime(200);
    expect([holdingAll(), said]).toEqual([["night"], ["hold_started night"]]);
    vi.advanceTimersByTime(6800);
    expect(said).toHaveLength(1);
    vi.advanceTimersByTime(200);
    expect([fleet.holds, said]).toEqual([[], ["hold_started night", "hold_expired night"]]);
  });

  test("and is taken away before leaves no word", () => {
    put("night", later(5, 10));
    rmSync(join(layout.holdsDir, "night"));
    reader.read();
    vi.advanceTimersByTime(20_000);
    expect([fleet.holds, said]).toEqual([[], []]);
  });

  test("and has begun while the monitor was down is said by its next run, once", () => {
    put("night", later(5, 3600));
    reader.stop();
    vi.advanceTimersByTime(60_000);
    start();
    start();
    expect(said).toEqual(["hold_started night"]);
  });

  test("and was in force until a person put it off is over, and begins again", () => {
    put("night", later(0, 3600));
    put("night", later(5, 3600));
    vi.advanceTimersByTime(6000);
    expect(said).toEqual(["hold_started night", "hold_expired night", "hold_started night"]);
  });

  test("in months is left to the scans", () => {
    put("night", later(90 * 86_400, 91 * 86_400));
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("touch", () => {
  test("is one hold and said once, although it makes a file and sets its time then", () => {
    put("all", "");
    const path = join(layout.holdsDir, "all");
    utimesSync(path, Date.now() / 1000 - 0.003, Date.now() / 1000 - 0.003);
    reader.read();
    expect(said).toEqual(["hold_defaulted all", "hold_started all"]);
  });

  test("again, minutes later, is a hold until another time, and said", () => {
    put("all", "");
    const path = join(layout.holdsDir, "all");
    utimesSync(path, Date.now() / 1000 - 600, Date.now() / 1000 - 600);
    reader.read();
    expect(said).toHaveLength(4);
  });
});
