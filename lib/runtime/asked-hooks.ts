/**
 * `hooks/before_kill` and `hooks/before_restart`: an operator's own gate, asked by the daemon that is about to act, and waited for.
 *
 * It is run as every other hook is, with an event on its standard input that stands in no log, for nothing has happened yet.
 * Exit 75 means "later". A hook that cannot be run, fails or takes too long holds nothing back: that is said, and the act goes on.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { safetyOf } from "../platform/files.js";
import { LEFT_RUNNING } from "../platform/groups.js";
import type { Log } from "../platform/log.js";
import { type ProgramResult, runProgram } from "../platform/programs.js";
import { type EventContent, type EventSubject, makeRecord } from "../schema/events.js";
import type { DaemonName } from "../schema/records.js";
import type { Layout } from "../store/layout.js";
import type { PerformContext } from "./core.js";
import type { Reporter } from "./reporting.js";

export const ASKED_HOOKS = ["before_kill", "before_restart"] as const;
export type AskedHook = (typeof ASKED_HOOKS)[number];

/** A hook that exits so asks to be asked again later (EX_TEMPFAIL). */
const LATER = 75;
const NOTE_MAX = 100;

export interface HookQuestion {
  readonly hook: AskedHook;
  readonly source: DaemonName;
  readonly subject: EventSubject;
  readonly content: EventContent;
  readonly timeoutMs: number;
}

export interface HookAnswer {
  readonly later: boolean;
  /** The last line that the hook wrote to its standard output. */
  readonly note: string;
}

interface Asking {
  readonly layout: Layout;
  readonly log: Log;
  readonly reporter: Pick<Reporter, "news">;
}

/** Asks a hook, if it is there. Asked again after a crash, it gets the same event_id. */
export async function askHook(
  { layout, log, reporter }: Asking,
  question: HookQuestion,
  { stamp }: Pick<PerformContext, "stamp">,
): Promise<HookAnswer> {
  const { hook, source, subject, content, timeoutMs } = question;
  const path = join(layout.hooksDir, hook);
  if (!existsSync(path)) return { later: false, note: "no hook" };
  const problem = whyUnsafe(path);
  if (problem !== null) {
    // An operator's gate that is open must not go unnoticed.
    const message = `Cannot run hook "hooks/${hook}": ${problem}`;
    reporter.news("record_refused", { message, reason: "unsafe", data: { path, problem } });
    return { later: false, note: "refused" };
  }
  const { home } = layout.home;
  const event = makeRecord(`${stamp.id}-hook`, stamp, source, hook, subject, { severity: "info", ...content });
  const result = await runProgram(path, [], {
    cwd: home,
    env: { HEALD_HOME: home, HEALD_COORDINATION_DIR: layout.coordination, HEALD_EVENT_TYPE: hook },
    input: `${JSON.stringify(event)}\n`,
    timeoutMs,
  });
  const later = result.exitCode === LATER;
  if (!later && result.exitCode !== 0) {
    const { worker_id } = subject;
    log.warn({ hook, worker_id, event_id: event.event_id }, `hooks/${hook} ${howEnded(result, timeoutMs)}; it goes on`);
  }
  return { later, note: lastLine(result.stdout) };
}

function whyUnsafe(path: string): string | null {
  try {
    return safetyOf(path);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function howEnded(result: ProgramResult, timeoutMs: number): string {
  if (result.failedToStart !== undefined) return `could not be started (${result.failedToStart})`;
  if (result.timedOut)
    return `took longer than ${timeoutMs / 1000} s${result.isLeft ? LEFT_RUNNING : " and was ended"}`;
  return result.exitCode === null ? `was ended by ${result.signal}` : `ended with ${result.exitCode}`;
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.slice(0, NOTE_MAX) ?? "";
}
