/** Guarantee: a program that may not be ended holds nobody up, and no signal goes to a group that is not its own any more. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { startBeside } from "../../../lib/platform/beside.js";
import { runProgram } from "../../../lib/platform/programs.js";
import { until } from "../../integration/support/launched.js";
import { temporaryFolder } from "../store/temporary-home.js";

afterEach(() => vi.restoreAllMocks());

/** As the kernel answers where a program has become another user's. Returns the signals that groups would have got. */
function forbidGroups(): string[] {
  const kill = process.kill.bind(process);
  const asked: string[] = [];
  vi.spyOn(process, "kill").mockImplementation((pid, signal) => {
    if (pid >= 0) return kill(pid, signal);
    if (typeof signal === "string") asked.push(signal);
    throw Object.assign(new Error("kill EPERM"), { code: "EPERM", errno: -1, syscall: "kill" });
  });
  return asked;
}

/** A program that ends when it is told to, and its pid once it runs. */
function sleeper(): { readonly script: string; readonly end: () => void } {
  const path = join(temporaryFolder(), "pid");
  return {
    script: `echo $$ > '${path}'; exec sleep 600`,
    end: () => {
      vi.restoreAllMocks();
      if (existsSync(path)) process.kill(Number(readFileSync(path, "utf8")), "SIGKILL");
    },
  };
}

test("a program that is waited for and may not be signalled is left running, and its time is up", async () => {
  const asked = forbidGroups();
  const { script, end } = sleeper();
  try {
    const result = await runProgram("/bin/sh", ["-c", script], { timeoutMs: 300 });
    expect(result).toMatchObject({ timedOut: true, isLeft: true, exitCode: null, signal: null });
    expect(asked).toEqual(["SIGTERM", "SIGKILL"]);
  } finally {
    end();
  }
});

test("a program beside us that may not be signalled is left running, and its end is not waited for", async () => {
  const asked = forbidGroups();
  const { script, end } = sleeper();
  try {
    const result = await startBeside("/bin/sh", ["-c", script], "", { timeoutMs: 300 }).ended;
    expect(result).toMatchObject({ timedOut: true, isLeft: true, exitCode: null, signal: null });
    expect(asked).toEqual(["SIGTERM", "SIGKILL"]);
  } finally {
    end();
  }
});

test("a group of which nobody was left after the first signal gets no second one: its number may be another's", async () => {
  const kill = vi.spyOn(process, "kill");
  const begunMs = performance.now();
  const result = await startBeside("/bin/sleep", ["600"], "", { timeoutMs: 100 }).ended;
  expect(result).toMatchObject({ timedOut: true, signal: "SIGTERM" });
  expect(result.isLeft).toBeUndefined();
  await until(() => performance.now() - begunMs > 2300, "the time of the second signal has passed");
  expect(kill.mock.calls.filter(([, signal]) => signal === "SIGTERM" || signal === "SIGKILL")).toHaveLength(1);
});
