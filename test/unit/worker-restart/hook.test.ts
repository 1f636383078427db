import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HookRunner } from "../../../daemons/worker-restart/hook.js";
import type { Context } from "../../../daemons/worker-restart/queue-source.js";
import { temporaryLayout } from "../store/temporary-home.js";

describe("HookRunner", () => {
  test.each([
    ["says the attempt that is about to be started", 7, 7],
    ["finds it out where it is asked again after a start of the daemon, which does not say it", 0, 4],
  ])("%s", async (_name, given, told) => {
    const layout = temporaryLayout();
    const [zombie, hook] = [layout.zombieSpec("scan-1", 3), join(layout.hooksDir, "before_restart")];
    writeFileSync(zombie, '{"worker_id":"scan-1"}');
    writeFileSync(hook, "#!/bin/sh\ncat > asked.json\n", { mode: 0o750 });
    const context = { layout, part: () => null, policy: () => ({ settings: { max_concurrent_restarts: 1 } }) };
    const subject = { worker_id: "scan-1", worker_type: "scan-worker", task_id: null };
    const answer = await new HookRunner(context as unknown as Context).ask(
      { kind: "ask-hook", name: "scan-1-restart.json", attempt: given, subject, seconds: 5 },
      { stamp: { id: "s1", atMs: 1000, monoMs: 0 }, again: given === 0 },
    );
    expect(answer).toMatchObject({ kind: "hook-answered", later: false });
    const asked: unknown = JSON.parse(readFileSync(join(layout.home.home, "asked.json"), "utf8"));
    expect(asked).toMatchObject({
      attempt: told,
      message: `Attempt ${told} of scan-1 is about to be started`,
    });
  });
});
