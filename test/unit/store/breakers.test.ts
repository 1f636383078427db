import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { BreakerStore } from "../../../lib/store/breakers.js";
import { listDesired, readDesired, removeDesired, writeDesired } from "../../../lib/store/desired.js";
import { temporaryLayout } from "./temporary-home.js";

const CLOSED = { worker_type: "flaky-worker", state: "closed", failure_count: 0 } as const;

describe("BreakerStore", () => {
  test("writes one compact line that grep finds, and knows its own text again", () => {
    const layout = temporaryLayout();
    const store = new BreakerStore(layout);
    store.write({ ...CLOSED, state: "open", failure_count: 5 });
    expect(readFileSync(layout.breaker("flaky-worker"), "utf8")).toBe(
      '{"worker_type":"flaky-worker","state":"open","failure_count":5}\n',
    );
    expect(store.changedByPerson("flaky-worker")).toBe("no");
    expect(store.list()).toEqual(["flaky-worker"]);
  });

  test("tells an overwritten file from a removed one, and an empty one from both", () => {
    const layout = temporaryLayout();
    const store = new BreakerStore(layout);
    const path = layout.breaker("flaky-worker");
    expect(store.changedByPerson("flaky-worker")).toBe("no");
    store.write(CLOSED);
    writeFileSync(path, "");
    expect(store.changedByPerson("flaky-worker")).toBe("unfinished");
    expect(store.changedByPerson("flaky-worker", Date.now() + 60_000)).toBe("unfinished");
    writeFileSync(path, '{\n  "worker_type": "flaky-worker",\n  "state": "open"\n}\n');
    expect(store.changedByPerson("flaky-worker")).toBe("overwritten");
    expect(store.read("flaky-worker")).toMatchObject({ kind: "ok", value: { state: "open" } });
    unlinkSync(path);
    expect(store.changedByPerson("flaky-worker")).toBe("removed");
  });

  test("obeys a file that a person made for a type it never wrote", () => {
    const layout = temporaryLayout();
    writeFileSync(layout.breaker("new-worker"), '{"worker_type":"new-worker","state":"open"}');
    expect(new BreakerStore(layout).changedByPerson("new-worker")).toBe("overwritten");
  });

  test("goes on with the texts of its checkpoint after a restart", () => {
    const layout = temporaryLayout();
    const before = new BreakerStore(layout);
    before.write(CLOSED);
    const after = new BreakerStore(layout);
    for (const [type, text] of Object.entries(before.remembered())) after.remember(type, text);
    expect(after.changedByPerson("flaky-worker")).toBe("no");
    unlinkSync(layout.breaker("flaky-worker"));
    expect(after.changedByPerson("flaky-worker")).toBe("removed");
    after.forget("flaky-worker");
    expect(after.changedByPerson("flaky-worker")).toBe("no");
  });
});

describe("desired", () => {
  test("reads, writes, lists and takes back what a person wants", () => {
    const layout = temporaryLayout();
    expect(readDesired(layout, "w", Date.now())).toBeNull();
    writeDesired(layout, "w", { state: "stopped", by: "me" });
    expect(readDesired(layout, "w", Date.now())).toEqual({ state: "stopped", by: "me" });
    expect(listDesired(layout)).toEqual(["w"]);
    expect([removeDesired(layout, "w"), removeDesired(layout, "w")]).toEqual([true, false]);
  });

  test("takes a wish it does not understand for none", () => {
    const layout = temporaryLayout();
    writeFileSync(layout.desired("w"), '{"state":"asleep"}');
    expect(readDesired(layout, "w", Date.now())).toBeNull();
  });
});
