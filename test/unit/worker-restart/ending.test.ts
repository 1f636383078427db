/** Guarantee: an old attempt is told to stop, and killed when it has had its grace, whatever the wall clock says meanwhile. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { endOldAttempt } from "../../../daemons/worker-restart/ending.js";
import { identityOf } from "../../../lib/platform/identity.js";
import type { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { temporaryLayout } from "../store/temporary-home.js";

const GRACE_MS = 30_000;

let layout: Layout;
let worker: ChildProcess;
let signals: string[];
let warned: string[];

/** A worker that does not heed its stop signal, with the record that makes it ours to end. */
beforeEach(async () => {
  layout = temporaryLayout();
  signals = [];
  warned = [];
  worker = spawn("sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  onTestFinished(() => void worker.kill("SIGKILL"));
  await once(worker.stdout as NonNullable<ChildProcess["stdout"]>, "data");
  const identity = identityOf(worker.pid as number);
  writeFileSync(
    layout.launch("w", 1),
    JSON.stringify({ worker_id: "w", attempt: 1, launcher_pid: process.pid, started_at_ms: Date.now(), ...identity }),
  );
  new SpecStore(layout).createActive({ worker_id: "w", worker_type: "scan", attempt: 1, status: "running" });
});
afterEach(() => {
  vi.useRealTimers();
});

function end(sinceMs: number, waitedMs: number): void {
  const log = {
    info: ({ signal }: { readonly signal: string }) => void signals.push(signal),
    warn: (_: object, message: string) => void warned.push(message),
  };
  const subject = { worker_id: "w", worker_type: "scan", task_id: null };
  const effect = { kind: "end-old", ...subject, attempt: 1, since_ms: sinceMs, waited_ms: waitedMs } as const;
  endOldAttempt({ layout, log } as never, new SpecStore(layout), effect);
}

test("a clock that is set forward kills nobody before the grace is over", async () => {
  const sinceMs = Date.now() + 10_000;
  end(sinceMs, 0);
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(sinceMs + 10 * GRACE_MS);
  end(sinceMs, 2000);
  expect(signals).toEqual(["SIGTERM"]);
  const gone = once(worker, "exit");
  end(sinceMs, GRACE_MS);
  expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
  expect(await gone).toEqual([null, "SIGKILL"]);
});

test("a clock that is set back tells nobody to stop again and again, and spares nobody", () => {
  const sinceMs = Date.now() + 10_000;
  end(sinceMs, 0);
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(sinceMs - 10 * GRACE_MS);
  for (const waitedMs of [1000, 2000, 3000]) end(sinceMs, waitedMs);
  expect(signals).toEqual(["SIGTERM"]);
  end(sinceMs, GRACE_MS);
  expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
});

test("a stop signal that there is not is SIGTERM, and that is said once", () => {
  const stop = { signal: "SIGTEM" };
  new SpecStore(layout).removeActive("w", 1);
  const spec = { worker_id: "w", worker_type: "scan", attempt: 1, status: "running", launch: { stop } };
  writeFileSync(layout.activeSpec("w"), JSON.stringify(spec));
  const sinceMs = Date.now() + 10_000;
  for (const waitedMs of [0, 500]) end(sinceMs, waitedMs);
  expect(signals).toEqual(["SIGTERM", "SIGTERM"]);
  expect(warned).toEqual([
    'launch.stop.signal of w must be a signal such as SIGTERM, got "SIGTEM"; did you mean SIGTERM; SIGTERM is sent',
  ]);
});
