/** A unit of systemd as a target, through its own tool, with a time-out on every call. @module */
import { runProgram } from "../platform/programs.js";

/** What a tool did. `why` is one sentence for people. */
export type ToolOutcome = { readonly ok: true } | { readonly ok: false; readonly why: string };

const UNIT = /^[A-Za-z0-9@][A-Za-z0-9@._:-]{0,127}$/;
const ASK_TIMEOUT_MS = 5000;

/** Restarts a unit, and looks whether it is active afterwards. */
export async function restartUnit(unit: string, timeoutMs: number, tool = "systemctl"): Promise<ToolOutcome> {
  if (!UNIT.test(unit)) return { ok: false, why: `${JSON.stringify(unit)} is no name of a unit` };
  const restarted = await callTool(tool, ["--no-ask-password", "restart", "--", unit], timeoutMs);
  if (!restarted.ok) return restarted;
  return callTool(tool, ["is-active", "--quiet", "--", unit], ASK_TIMEOUT_MS);
}

/** Runs a tool to its end; what it printed is never logged but for its last line. */
export async function callTool(
  tool: string,
  args: readonly string[],
  timeoutMs: number,
  env?: Readonly<Record<string, string>>,
): Promise<ToolOutcome> {
  const result = await runProgram(tool, args, { timeoutMs, ...(env === undefined ? {} : { env }) });
  const call = [tool, ...args].join(" ").slice(0, 120);
  if (result.failedToStart !== undefined) return { ok: false, why: `Cannot run ${tool}: ${result.failedToStart}` };
  if (result.timedOut) return { ok: false, why: `${call} took longer than ${Math.round(timeoutMs / 1000)} s` };
  if (result.exitCode === 0) return { ok: true };
  const last = result.stderr.trim().split("\n").at(-1)?.slice(0, 120) ?? "";
  return { ok: false, why: `${call} ended with ${result.exitCode ?? result.signal}${last === "" ? "" : `: ${last}`}` };
}
