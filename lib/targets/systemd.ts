/** A service of systemd as a target, through systemctl. @module */
import { whyNoService } from "../schema/target-names.js";
import {
  callTool,
  failed,
  findTool,
  type Looks,
  restartAndLook,
  type ToolCall,
  type ToolOutcome,
  whyFailed,
} from "./tools.js";

const ASK_TIMEOUT_MS = 5000;
/** A service that fails at once is "active" for a moment. */
const STEADY_MS = 1000;
const PROPERTIES = "LoadState,ActiveState,SubState,InvocationID,NRestarts";

type Unit = Readonly<Partial<Record<string, string>>>;

/**
 * Restarts a service, and looks whether it runs anew and goes on.
 *
 * A call that is given up at its time-out leaves the job to systemd, which may still finish it.
 */
export async function restartUnit(unit: string, timeoutMs: number, tool = "systemctl"): Promise<ToolOutcome> {
  const bad = whyNoService("systemd", unit);
  if (bad !== null) return failed(`${JSON.stringify(unit)} ${bad}`);
  const found = findTool(tool);
  if ("why" in found) return failed(found.why);
  const ask = async (): Promise<Unit | string> => askUnit(found.path, unit);
  const before = await ask();
  if (typeof before === "string") return failed(before);
  if (before.LoadState !== "loaded") return failed(`there is no unit ${unit} to restart: it is ${before.LoadState}`);
  const restart: ToolCall = { path: found.path, args: ["--no-ask-password", "restart", "--", unit], timeoutMs };
  const looks = await restartAndLook(before, ask, restart, { steadyMs: STEADY_MS, words: true });
  return typeof looks === "string" ? failed(looks) : judged(unit, found.path, looks);
}

function judged(unit: string, tool: string, [before, after, later]: Looks<Unit>): ToolOutcome {
  if (later.ActiveState !== "active")
    return failed(`${unit} is ${later.ActiveState} (${later.SubState}) after its restart`);
  if (after.InvocationID === before.InvocationID) return failed(`${unit} was not restarted: it runs as before`);
  if (after.InvocationID !== later.InvocationID || after.NRestarts !== later.NRestarts)
    return failed(`${unit} has ended again at once after its restart`);
  return { ok: true, note: `${unit} is restarted by ${tool}` };
}

async function askUnit(path: string, unit: string): Promise<Unit | string> {
  const call: ToolCall = { path, args: ["show", `--property=${PROPERTIES}`, "--", unit], timeoutMs: ASK_TIMEOUT_MS };
  const result = await callTool(call);
  const why = whyFailed(call, result, true);
  if (why !== null) return why;
  return Object.fromEntries(result.stdout.split("\n").map((line) => splitOnce(line)));
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf("=");
  return [line.slice(0, at), line.slice(at + 1)];
}
