/** `hooks/before_restart`: the operator's own gate. It gets the start on its standard input; exit 75 means "later". @module */
import { join } from "node:path";
import { safetyOf } from "../../lib/platform/files.js";
import { runProgram } from "../../lib/platform/programs.js";
import { type Bulkhead, bulkhead } from "../../lib/platform/tasks.js";
import type { Effect, Event } from "./messages.js";
import type { Context } from "./queue-source.js";

type AskHook = Extract<Effect, { kind: "ask-hook" }>;

const LATER = 75;

export class HookRunner {
  readonly #context: Context;
  readonly #places: Bulkhead;

  constructor(context: Context) {
    this.#context = context;
    this.#places = bulkhead(context.policy().settings.max_concurrent_restarts);
  }

  /** A hook that cannot be run, or takes too long, holds nothing back: it is said, and the restart goes on. */
  async ask(effect: AskHook): Promise<Event> {
    const { layout, log, policy, reporter } = this.#context;
    const path = join(layout.hooksDir, "before_restart");
    const answer = (later: boolean, note: string): Event => ({
      kind: "hook-answered",
      ...effect.subject,
      name: effect.name,
      later,
      note,
    });
    const unsafe = whyUnsafe(path);
    if (unsafe !== null) {
      // An operator's gate that is open must not go unnoticed.
      reporter.news("record_refused", {
        message: `Cannot run hook "hooks/before_restart": ${unsafe}`,
        reason: "unsafe",
        data: { path, problem: unsafe },
      });
      return answer(false, unsafe);
    }
    this.#places.setConcurrency(policy().settings.max_concurrent_restarts);
    const input = `${JSON.stringify({ event_type: "before_restart", ...effect.subject, attempt: effect.attempt })}\n`;
    const env = { HEALD_HOME: layout.home.home, HEALD_COORDINATION_DIR: layout.coordination };
    const result = await this.#places.run(() =>
      runProgram(path, [], { cwd: layout.home.home, env, input, timeoutMs: effect.seconds * 1000 }),
    );
    if (result.exitCode === LATER) return answer(true, lastLine(result.stdout) || "hooks/before_restart says later");
    if (result.timedOut)
      log.warn({ worker_id: effect.subject.worker_id }, `hooks/before_restart took longer than ${effect.seconds} s`);
    else if (result.exitCode !== 0)
      log.warn(
        { worker_id: effect.subject.worker_id, exit_code: result.exitCode, why: result.failedToStart },
        "hooks/before_restart did not end well; the restart goes on",
      );
    return answer(false, "");
  }
}

function whyUnsafe(path: string): string | null {
  try {
    return safetyOf(path);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.slice(0, 160) ?? "";
}
