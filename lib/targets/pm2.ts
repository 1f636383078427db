/**
 * An app of pm2 as a target, through its own tool.
 *
 * Any call of pm2 starts an empty daemon where none runs, so its pid file is looked at first; and a PM2_HOME that is too
 * long for a socket's path hangs it, so every call has a time-out.
 * @module
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { readSmall } from "../platform/files.js";
import { readStat } from "../platform/proc-stat.js";
import { callTool, type ToolOutcome } from "./systemd.js";

const APP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const SOCKET_PATH_MAX = 100;

/** Restarts an app. A hung app stays "online" for pm2: whether it is well again is for its metrics to say. */
export async function restartApp(
  app: string,
  timeoutMs: number,
  pm2Home = process.env.PM2_HOME ?? join(homedir(), ".pm2"),
  tool = "pm2",
): Promise<ToolOutcome> {
  if (!APP.test(app)) return { ok: false, why: `${JSON.stringify(app)} is no name of an app` };
  if (Buffer.byteLength(join(pm2Home, "interactor.sock")) > SOCKET_PATH_MAX)
    return { ok: false, why: `PM2_HOME is longer than a socket's path may be: ${pm2Home}` };
  if (!isRunning(pm2Home)) return { ok: false, why: `no pm2 daemon runs in ${pm2Home}` };
  return callTool(tool, ["restart", app, "--silent"], timeoutMs, { PM2_HOME: pm2Home });
}

function isRunning(pm2Home: string): boolean {
  const pid = Number(readSmall(join(pm2Home, "pm2.pid"), { maxBytes: 64 })?.text.trim() ?? "");
  return Number.isInteger(pid) && pid > 1 && readStat(pid) !== null;
}
