/**
 * An app of pm2 as a target, through its own tool.
 *
 * Any call of pm2 starts an empty daemon where none runs, so it is looked first whether one does; a PM2_HOME that is too long
 * for a socket's path hangs it; `restart` takes names for ids, namespaces or files; and `jlist` prints whole environments,
 * of which nothing but names, numbers and states leaves this module.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { readSmall } from "../platform/files.js";
import { readStat } from "../platform/proc-stat.js";
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

const SOCKET_PATH_MAX = 107;
const ASK_TIMEOUT_MS = 10_000;
const LIST_BYTES_MAX = 32 * 1024 * 1024;
/** An app that fails at once is "online" for a moment. */
const STEADY_MS = 1500;

/** One process of an app. */
interface Member {
  readonly id: number;
  readonly pid: number;
  readonly status: string;
}

/** Restarts an app. A hung app stays "online" for pm2: whether it is well again is for its metrics to say. */
export async function restartApp(
  app: string,
  timeoutMs: number,
  pm2Home = resolve(process.env.PM2_HOME ?? join(homedir(), ".pm2")),
  tool = "pm2",
): Promise<ToolOutcome> {
  const bad = whyNoService("pm2", app);
  if (bad !== null) return failed(`${JSON.stringify(app)} ${bad}`);
  if (Buffer.byteLength(join(pm2Home, "rpc.sock")) > SOCKET_PATH_MAX)
    return failed(`PM2_HOME is longer than a socket's path may be: ${pm2Home}`);
  const notThere = whyNoDaemon(pm2Home);
  if (notThere !== null) return failed(notThere);
  const found = findTool(tool);
  if ("why" in found) return failed(found.why);
  const env = { PM2_HOME: pm2Home };
  const ask = (): Promise<readonly Member[] | string> => membersOf(app, { path: found.path, env });
  const before = await ask();
  if (typeof before === "string") return failed(before);
  if (before.length === 0) return failed(`pm2 has no app ${JSON.stringify(app)} in ${pm2Home}`);
  // By their numbers: a namespace may be called as the app.
  const args = ["restart", ...before.map((each) => String(each.id)), "--silent", "--no-color"];
  const restart: ToolCall = { path: found.path, args, timeoutMs, env };
  const looks = await restartAndLook(before, ask, restart, { steadyMs: STEADY_MS, words: false });
  return typeof looks === "string" ? failed(looks) : judged(app, found.path, looks);
}

function judged(app: string, tool: string, [before, after, later]: Looks<readonly Member[]>): ToolOutcome {
  for (const { id, pid } of before) {
    const now = later.find((each) => each.id === id);
    if (now === undefined || now.status !== "online")
      return failed(`${app} (id ${id}) is ${now?.status ?? "gone"} after its restart`);
    if (now.pid === pid) return failed(`${app} (id ${id}) was not restarted: it runs as before`);
    if (now.pid !== after.find((each) => each.id === id)?.pid)
      return failed(`${app} (id ${id}) has ended again at once after its restart`);
  }
  return { ok: true, note: `${app} is restarted by ${tool}` };
}

/** Why no call may be made: it would start a daemon, or speak to somebody else's. */
function whyNoDaemon(pm2Home: string): string | null {
  const none = `no pm2 daemon runs in ${pm2Home}`;
  const pid = Number(readSmall(join(pm2Home, "pm2.pid"), { maxBytes: 64 })?.text.trim() || "");
  if (!Number.isInteger(pid) || pid <= 1 || readStat(pid) === null) return none;
  const owner = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  if (owner !== process.geteuid?.()) return `the pm2 daemon in ${pm2Home} belongs to another user`;
  // A pid is used again; a socket that is listened at is not.
  const sockets = readFileSync("/proc/net/unix", "utf8").split("\n");
  return sockets.some((line) => line.endsWith(` ${join(pm2Home, "rpc.sock")}`)) ? null : none;
}

async function membersOf(
  app: string,
  { path, env }: Pick<ToolCall, "path" | "env">,
): Promise<readonly Member[] | string> {
  const args = ["jlist", "--silent", "--no-color"];
  const call: ToolCall = { path, args, timeoutMs: ASK_TIMEOUT_MS, maxOutputBytes: LIST_BYTES_MAX, ...(env && { env }) };
  const result = await callTool(call);
  const why = whyFailed(call, result, false);
  if (why !== null) return why;
  const listed = listIn(result.stdout);
  if (listed === null) return `${path} jlist has printed no list of apps`;
  return listed.flatMap((each) => memberOf(each, app) ?? []);
}

/** The list; before it pm2 may say something else. */
function listIn(output: string): readonly unknown[] | null {
  const line = output.split("\n").find((each) => each.startsWith("["));
  try {
    const list: unknown = JSON.parse(line ?? "");
    return Array.isArray(list) ? list : null;
  } catch {
    return null; // The cause would quote what was printed.
  }
}

function memberOf(entry: unknown, app: string): Member | null {
  const { name, pm_id: id, pid, pm2_env: own } = (entry ?? {}) as Readonly<Record<string, unknown>>;
  if (name !== app || typeof id !== "number") return null;
  const { status } = (own ?? {}) as { readonly status?: unknown };
  return { id, pid: typeof pid === "number" ? pid : 0, status: typeof status === "string" ? status : "unknown" };
}
