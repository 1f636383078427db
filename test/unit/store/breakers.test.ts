import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { BreakerStore } from "../../../lib/store/breakers.js";
import { listDesired, readDesired, removeDesired, writeDesired } from "../../../lib/store/desired.js";
import { MAX_BYTES } from "../../../lib/store/records.js";
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

  test("keeps what a person has added, takes it for no order, and reads it once", () => {
    const layout = temporaryLayout();
    const store = new BreakerStore(layout);
    const path = layout.breaker("flaky-worker");
    store.write(CLOSED);
    writeFileSync(path, JSON.stringify({ ticket: "OPS-7", ...CLOSED, notes: { by: "ann" } }, null, 2));
    expect(store.changedByPerson("flaky-worker")).toBe("no");
    const reads = vi.spyOn(store, "read");
    for (let count = 1; count <= 100; count++) store.write({ ...CLOSED, failure_count: count });
    expect(reads).toHaveBeenCalledTimes(1);
    expect(readFileSync(path, "utf8")).toBe(
      '{"worker_type":"flaky-worker","state":"closed","failure_count":100,"ticket":"OPS-7","notes":{"by":"ann"}}\n',
    );
    expect(store.changedByPerson("flaky-worker")).toBe("no");
  });

  test("keeps it over a restart, in which its own text is not known to have it", () => {
    const layout = temporaryLayout();
    writeFileSync(layout.breaker("flaky-worker"), JSON.stringify({ ...CLOSED, ticket: "OPS-7" }));
    const store = new BreakerStore(layout);
    store.remember("flaky-worker", `${JSON.stringify(CLOSED)}\n`);
    expect(store.changedByPerson("flaky-worker")).toBe("no");
    store.write({ ...CLOSED, state: "open" });
    expect(readFileSync(layout.breaker("flaky-worker"), "utf8")).toContain(
      '"state":"open","failure_count":0,"ticket":"OPS-7"',
    );
  });

  test("drops what was added with the file, and what would make the file too large to be read", () => {
    const layout = temporaryLayout();
    const store = new BreakerStore(layout);
    const path = layout.breaker("flaky-worker");
    const write = (more: object): void => writeFileSync(path, JSON.stringify({ worker_type: "flaky-worker", ...more }));
    write({ state: "closed", ticket: "OPS-7" });
    store.write(CLOSED);
    unlinkSync(path);
    store.forget("flaky-worker");
    store.write(CLOSED);
    expect(readFileSync(path, "utf8")).not.toContain("ticket");
    write({ state: "closed", ticket: "x".repeat(MAX_BYTES.breaker - 70) });
    expect(store.changedByPerson("flaky-worker")).toBe("overwritten");
    store.forget("flaky-worker");
    store.write(CLOSED);
    expect(store.changedByPerson("flaky-worker")).toBe("no");
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
