/**
 * Tells systemd that a daemon is ready, alive, reloading or stopping.
 *
 * Through the `systemd-notify` program, because Node has no datagram socket for local paths; the unit says
 * `NotifyAccess=all`. Without a service manager every call does nothing.
 * @module
 */

import { spawn } from "node:child_process";

/**
 * Sends one state, such as `READY=1` or `STATUS=…`, without waiting for it.
 *
 * @param onError Told when the program cannot run or fails; without it a warning of the process is emitted.
 */
export function notifySystemd(state: string, onError: (error: Error) => void = warn): void {
  if ((process.env.NOTIFY_SOCKET ?? "") === "") return;
  const child = spawn("systemd-notify", [state], { stdio: "ignore" });
  child.on("error", onError);
  child.on("exit", (code, signal) => {
    if (code !== 0)
      onError(new Error(`Cannot notify systemd of "${state}": systemd-notify ended with ${code ?? signal}`));
  });
  child.unref();
}

function warn(error: Error): void {
  process.emitWarning(error);
}

/**
 * The time within which systemd wants to hear `WATCHDOG=1`, in milliseconds; send it twice as often.
 *
 * Null when there is no watchdog, or when it is meant for another process.
 */
export function watchdogIntervalMs(): number | null {
  const microseconds = Number(process.env.WATCHDOG_USEC);
  if (!Number.isFinite(microseconds) || microseconds <= 0) return null;
  const pid = process.env.WATCHDOG_PID ?? "";
  return pid === "" || Number(pid) === process.pid ? microseconds / 1000 : null;
}
