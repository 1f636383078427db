/** Guarantee: a daemon warms up by itself, on deaths that never were, and leaves nothing of them. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { warmUpOf as ofMonitor } from "../../../daemons/heartbeat-monitor/warm-up.js";
import { warmUpOf as ofRestart } from "../../../daemons/worker-restart/warm-up.js";
import { identityOf } from "../../../lib/platform/processes.js";
import { WarmUp } from "../../../lib/runtime/warm-up.js";

let folder: string;
let said: { level: string; message: string; fields: Record<string, unknown> }[];
/** Nothing else of a daemon is there to be touched. */
let context: never;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-test-"));
  said = [];
  const say =
    (level: string) =>
    (fields: Record<string, unknown>, message: string): void =>
      void said.push({ level, message, fields });
  const log = { info: say("info"), warn: say("warn"), error: say("error") };
  context = { log, identity: identityOf(process.pid), startedAtMs: Date.now() } as never;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const starts: unknown[] = [];
const standby = { practise: (start: unknown) => void starts.push(start) } as never;

const DAEMONS = {
  "heartbeat-monitor": () => ofMonitor(context, folder),
  "worker-restart": () => ofRestart(context, standby, folder),
};

describe.each(Object.entries(DAEMONS))("the warm-up of %s", (_, warmUp) => {
  test("takes each made-up death to its end, and leaves no file", async () => {
    await warmUp().run();
    expect(said).toMatchObject([{ level: "info", message: "practised on made-up deaths", fields: { deaths: 300 } }]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("leaves no file when the daemon is stopped meanwhile, and says nothing", async () => {
    const one = warmUp();
    const running = one.run();
    expect(readdirSync(folder)).toHaveLength(1);
    one.stop();
    expect(readdirSync(folder)).toEqual([]);
    await running;
    expect(readdirSync(folder)).toEqual([]);
    expect(said).toEqual([]);
  });

  test("is left out where no file can be made", async () => {
    rmSync(folder, { recursive: true });
    await warmUp().run();
    expect(said).toMatchObject([
      { level: "info", message: expect.stringMatching(/^no warm-up, since ".+" cannot be/) },
    ]);
  });

  test("removes what a killed one has left long ago, and nothing else", async () => {
    for (const name of ["heald-warm-up-old", "heald-warm-up-new", "other-old"]) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "file"), "");
      if (name.endsWith("old")) utimesSync(join(folder, name), 1, 1);
    }
    await warmUp().run();
    expect(readdirSync(folder).sort()).toEqual(["heald-warm-up-new", "other-old"]);
  });

  test("is broken off with a word when its home is taken away, and the daemon goes on", async () => {
    const one = warmUp();
    const running = one.run();
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
    await running;
    expect(said).toMatchObject([
      { level: "warn", message: "the warm-up was broken off; the first deaths take longer" },
    ]);
    expect(existsSync(folder)).toBe(true);
  });
});

test("worker-restart starts nothing while it warms up: it makes the lines for it, and tells nobody", async () => {
  starts.length = 0;
  await DAEMONS["worker-restart"]().run();
  expect(starts).toHaveLength(300);
});

test("it waits until the daemon has had nothing to tell of for a second", async () => {
  vi.useFakeTimers();
  try {
    const listeners: (() => void)[] = [];
    const reporter = { onReported: (listener: () => void) => void listeners.push(listener) };
    ofMonitor({ ...(context as object), reporter } as never, folder).start();
    await vi.advanceTimersByTimeAsync(2500);
    for (const listener of listeners) listener();
    await vi.advanceTimersByTimeAsync(1499);
    expect(said).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(said).toMatchObject([{ message: "practised on made-up deaths" }]);
  } finally {
    vi.useRealTimers();
  }
});

test("nothing is performed that is not for practice", async () => {
  const performed: string[] = [];
  const core = {
    name: "heartbeat-monitor",
    address: () => ({ worker: "worker:w" }),
    blank: () => null,
    decide: (slice: object) => ({ slice, effects: [{ kind: "report" }, { kind: "signal" }] }),
    failed: () => null,
    coalesced: new Set(),
  };
  await new WarmUp<{ worker: null }, { kind: string }, { kind: string }, object>({
    context,
    core: core as never,
    settings: {},
    effects: new Set(["report"]),
    equip: ({ offer }) => ({
      perform: ({ kind }) => void performed.push(kind),
      death: () => offer({ kind: "died" }),
      done: () => 300,
      end: () => {},
    }),
    folder,
  }).run();
  expect(performed).toEqual(["report"]);
  expect(said).toMatchObject([{ level: "warn", fields: { cause: expect.stringContaining("Cannot signal") } }]);
});
