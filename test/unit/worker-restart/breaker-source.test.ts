/**
 * Guarantee: whatever happens to the breakers' folder or to the history, it is said once, and once more when it is over; and each
 * line of the history counts once, in whichever file it stands.
 */
import { appendFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { BreakerSource } from "../../../daemons/worker-restart/breaker-source.js";
import type { Event } from "../../../daemons/worker-restart/messages.js";
import type { Context } from "../../../daemons/worker-restart/queue-source.js";
import type { TypePart } from "../../../daemons/worker-restart/state.js";
import { BreakerStore } from "../../../lib/store/breakers.js";
import type { Layout } from "../../../lib/store/layout.js";
import { EventLogWriter, Tailer } from "../../../lib/store/logs.js";
import { temporaryLayout } from "../store/temporary-home.js";
import { RealLoop } from "./real-loop.js";

class Bench {
  readonly layout: Layout = temporaryLayout();
  readonly offered: Event[] = [];
  /** What the daemon's own log says, warnings and all-clears, in their order. */
  readonly said: string[] = [];
  readonly news: string[] = [];
  isFull = false;
  readonly store = new BreakerStore(this.layout);
  readonly source: BreakerSource;

  constructor() {
    const say = (_: object, text: string) => this.said.push(text);
    const context = {
      layout: this.layout,
      log: { info: say, warn: say },
      reporter: {
        news: (type: string, { message }: { message: string }) => {
          if (this.isFull) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
          this.news.push(`${type}: ${message}`);
        },
      },
      offer: (event: Event) => this.offered.push(event),
      part: () => null,
      partsWith: () => new Map(),
    };
    this.source = new BreakerSource(context as unknown as Context, this.store);
    onTestFinished(() => this.source.stop());
  }

  outcome(worker_type: string): string {
    const line = { worker_type, result: "failure", reason: "crashed", timestamp: "2026-01-01T00:00:00Z" };
    return `${JSON.stringify({ ...line, worker_id: "w-1", attempt: 2 })}\n`;
  }
}

test.for([
  ["list", "listing breakers"],
  ["read", "reading the breaker of scan"],
] as const)("what may not be read for a while (%s) is said once, and once more when it may be again", ([ask, what]) => {
  const bench = new Bench();
  writeFileSync(join(bench.layout.breakersDir, "scan.json"), '{"worker_type":"scan","state":"open"}');
  const forbidden = vi.spyOn(bench.store, ask).mockImplementation(() => {
    throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES", syscall: "open" });
  });
  for (let times = 0; times < 3; times++) bench.source.scan();
  expect(bench.said).toEqual([`${what} does not work just now (EACCES); it is tried again`]);
  expect(bench.offered).toEqual([]);
  forbidden.mockRestore();
  for (let times = 0; times < 3; times++) bench.source.scan();
  expect(bench.said.slice(1)).toEqual([`${what} works again`]);
  expect(bench.offered).toHaveLength(1);
});

test("a breaker that is no record is refused by name, once for each version of it, and the others are read", () => {
  const bench = new Bench();
  const { breakersDir } = bench.layout;
  writeFileSync(join(breakersDir, "scan.json"), '{"worker_type":"other","state":"open"}');
  symlinkSync("scan.json", join(breakersDir, "linked.json"));
  writeFileSync(join(breakersDir, "index.json"), '{"worker_type":"index","state":"open"}');
  for (let times = 0; times < 3; times++) bench.source.scan();
  expect(bench.news.sort()).toEqual([
    expect.stringMatching(
      /^record_refused: .*circuit-breakers\/linked\.json.*symbolic link.*last good state stays in force$/,
    ),
    'record_refused: circuit-breakers/scan.json: worker_type must be "scan"; the last good state stays in force',
  ]);
  expect(bench.offered).toMatchObject([{ kind: "breaker-by-hand", worker_type: "index", wanted: "open" }]);
});

test("a line of the history that is none is passed over, ten are named at most, and what follows is read", () => {
  const bench = new Bench();
  const bad = Array.from({ length: 12 }, (_, nth) => (nth % 2 === 0 ? "torn {\n" : '{"worker_type":7}\n'));
  writeFileSync(bench.layout.history, [bench.outcome("scan"), ...bad, bench.outcome("index")].join(""));
  for (let times = 0; times < 3; times++) bench.source.scan();
  expect(bench.offered).toMatchObject([{ worker_type: "scan" }, { worker_type: "index" }]);
  expect(bench.news).toHaveLength(10);
  expect(bench.news[0]).toBe(
    `record_refused: metrics/worker-restart-history.jsonl: the line at byte ${bench.outcome("scan").length} is passed over: it is not JSON`,
  );
  expect(bench.news[1]).toMatch(
    /^record_refused: metrics\/worker-restart-history\.jsonl: the line at byte \d+ is passed over: .*worker_type/,
  );
});

test("a line of the history that is too long is passed over and named by its place", () => {
  const bench = new Bench();
  writeFileSync(bench.layout.history, `${bench.outcome("scan")}${"x".repeat(70_000)}\n${bench.outcome("index")}`);
  bench.source.scan();
  expect(bench.offered).toMatchObject([{ worker_type: "scan" }, { worker_type: "index" }]);
  const at = bench.outcome("scan").length;
  expect(bench.news).toEqual([
    `record_refused: metrics/worker-restart-history.jsonl: the line at byte ${at} is passed over: 70000 bytes, at most 65536`,
  ]);
});

test("an outcome from the future that a person has written does not count, and is named by its place", () => {
  const bench = new Bench();
  const soon = new Date(Date.now() + 240_000).toISOString();
  const lines = ["2199-01-01T00:00:00Z", soon].map((timestamp) => ({
    worker_type: "scan",
    result: "failure",
    timestamp,
  }));
  writeFileSync(bench.layout.history, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  bench.source.scan();
  expect(bench.offered).toMatchObject([
    { kind: "history-passed-over", worker_type: "scan" },
    { kind: "history", worker_type: "scan", outcome: { atMs: Date.parse(soon) } },
  ]);
  expect(bench.news).toEqual([
    'record_refused: metrics/worker-restart-history.jsonl: the line at byte 0 is passed over: timestamp must not be in the future, got "2199-01-01T00:00:00Z"',
  ]);
});

test("an outcome that was passed over does not count when its time has come, also after a restart or a kill", () => {
  const real = new RealLoop({ circuit_breaker_threshold: 1 });
  const atMs = Date.now() + 3_600_000;
  const line = { worker_type: "scan", result: "failure", timestamp: new Date(atMs).toISOString() };
  const text = `${JSON.stringify(line)}\n`;
  writeFileSync(real.layout.history, text);
  real.breakers.scan();
  expect(real.loop.part<TypePart>("type:scan")?.read_to).toMatchObject({ offset: text.length });
  // What a killed daemon finds again.
  expect(real.journal.recover().parts.get("type:scan")).toEqual(real.loop.part("type:scan"));

  vi.useFakeTimers({ toFake: ["Date"], now: atMs });
  onTestFinished(() => void vi.useRealTimers());
  const restarted = real.openBreakers();
  onTestFinished(() => restarted.stop());
  restarted.scan();
  expect(real.loop.part<TypePart>("type:scan")?.breaker).toMatchObject({ state: "closed", failure_count: 0 });
  appendFileSync(real.layout.history, text);
  restarted.scan();
  expect(real.loop.part<TypePart>("type:scan")?.breaker).toMatchObject({ state: "open", failure_count: 1 });
});

test("a line that cannot be told of on a full disk costs no outcome, and is told of when there is room", () => {
  const bench = new Bench();
  writeFileSync(bench.layout.history, `${bench.outcome("scan")}torn {\n${bench.outcome("index")}torn {\n`);
  bench.isFull = true;
  expect(bench.source.newOutcomes()).toMatchObject([{ worker_type: "scan" }, { worker_type: "index" }]);
  expect(bench.source.newOutcomes()).toEqual([]);
  const saying = "reporting lines of the restart history that are passed over";
  expect(bench.said).toEqual([`${saying} does not work just now (ENOSPC); it is tried again`]);
  bench.isFull = false;
  for (let times = 0; times < 2; times++) bench.source.scan();
  expect(bench.news).toHaveLength(2);
  expect(bench.said.slice(1)).toEqual([`${saying} works again`]);
});

test("outcomes that were read before the history could be read no further are not lost", () => {
  const bench = new Bench();
  writeFileSync(bench.layout.history, bench.outcome("scan"));
  const { read } = Tailer.prototype;
  let reads = 0;
  const stormy = vi.spyOn(Tailer.prototype, "read").mockImplementation(function (this: Tailer, maxBytes) {
    if (++reads > 1) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    return { ...read.call(this, maxBytes), more: true };
  });
  bench.source.scan();
  expect(bench.offered).toEqual([]);
  stormy.mockRestore();
  bench.source.scan();
  expect(bench.offered).toMatchObject([{ worker_type: "scan" }]);
});

test("an outcome that worker-restart wrote itself counts, also when the clock was set back since", () => {
  const bench = new Bench();
  const timestamp = new Date(Date.now() + 3_600_000).toISOString();
  writeFileSync(
    bench.layout.history,
    `${JSON.stringify({ worker_type: "scan", result: "failure", timestamp, history_id: "h-1" })}\n`,
  );
  bench.source.scan();
  expect(bench.offered).toMatchObject([{ worker_type: "scan" }]);
  expect(bench.news).toEqual([]);
});

describe("a breaker of three failures, after the history was rotated", () => {
  /** With a history so long that no offset of the next file comes up to its end. */
  class Rotated {
    readonly real = new RealLoop({ circuit_breaker_threshold: 3 });
    #attempts = 1;

    constructor() {
      for (let nth = 0; nth < 50; nth++) this.append(this.real.layout.history, "index", "success");
      this.real.breakers.scan();
    }

    append(path: string, worker_type = "scan", result = "failure"): void {
      const who = { worker_type, worker_id: `${worker_type}-1`, attempt: ++this.#attempts };
      appendFileSync(path, `${JSON.stringify({ ...who, result, timestamp: new Date().toISOString() })}\n`);
    }

    /** As when it has grown to 64 MiB. */
    rotate(): string {
      const { history, archiveDir } = this.real.layout;
      const writer = new EventLogWriter(history, { maxBytes: 1, archiveDir, owner: true });
      onTestFinished(() => writer.close());
      return writer.rotateIfLarge(Date.now(), "worker-restart") as string;
    }

    /** One failure, read and counted. */
    fail(): void {
      this.append(this.real.layout.history);
      this.real.breakers.scan();
    }

    get breaker(): TypePart["breaker"] | undefined {
      return this.real.loop.part<TypePart>("type:scan")?.breaker;
    }
  }

  test("opens by failures of which the first stands at the end of the old file", () => {
    const rotated = new Rotated();
    rotated.append(rotated.real.layout.history);
    rotated.rotate();
    rotated.real.breakers.scan();
    expect(rotated.breaker).toMatchObject({ state: "closed", failure_count: 1 });
    rotated.fail();
    rotated.fail();
    expect(rotated.breaker).toMatchObject({ state: "open", failure_count: 3 });
  });

  test("opens by failures after a person has closed it, and not by one before", () => {
    const rotated = new Rotated();
    const { layout, breakers } = rotated.real;
    rotated.fail();
    rotated.rotate();
    writeFileSync(layout.breaker("scan"), '{"worker_type":"scan","state":"closed"}');
    breakers.scan();
    expect(rotated.breaker).toMatchObject({ state: "closed", failure_count: 0, reason: "by_hand" });
    rotated.fail();
    rotated.fail();
    expect(rotated.breaker).toMatchObject({ state: "closed", failure_count: 2 });
    rotated.fail();
    expect(rotated.breaker).toMatchObject({ state: "open", failure_count: 3 });
  });

  test("opens over what a person has added to its file, for whom that is no order", () => {
    const rotated = new Rotated();
    const { layout, breakers } = rotated.real;
    const inFile = () => JSON.parse(readFileSync(layout.breaker("scan"), "utf8")) as Record<string, unknown>;
    rotated.fail();
    rotated.fail();
    writeFileSync(layout.breaker("scan"), JSON.stringify({ ...inFile(), ticket: "OPS-7" }, null, 2));
    breakers.scan();
    expect(rotated.breaker).toMatchObject({ state: "closed", failure_count: 2 });
    rotated.fail();
    expect(inFile()).toMatchObject({ state: "open", failure_count: 3, ticket: "OPS-7" });
  });

  test("counts a failure that comes late to the old file once, and those of the new one no second time after a restart", () => {
    const rotated = new Rotated();
    const archived = rotated.rotate();
    rotated.fail();
    rotated.append(archived);
    rotated.real.breakers.scan();
    expect(rotated.breaker).toMatchObject({ state: "closed", failure_count: 2 });

    const restarted = rotated.real.openBreakers();
    onTestFinished(() => restarted.stop());
    restarted.scan();
    expect(rotated.breaker).toMatchObject({ state: "closed", failure_count: 2 });
    rotated.append(rotated.real.layout.history);
    restarted.scan();
    expect(rotated.breaker).toMatchObject({ state: "open", failure_count: 3 });
  });
});
