/** Which signal asks a worker to stop. @module */
import { constants } from "node:os";

const UNFIT: ReadonlySet<string> = new Set(["SIGSTOP", "SIGTSTP", "SIGCONT"]);

/** Whether this system knows a signal by its name, and it can end a process. */
export function canStop(name: string): boolean {
  return Object.hasOwn(constants.signals, name) && !UNFIT.has(name);
}

/**
 * The stop signal of a spec; SIGTERM where it names none, or one that cannot stop anything: a worker that was never
 * asked would be killed after its grace time without having put its work away.
 */
export function stopSignalOf(wanted: string | null | undefined): NodeJS.Signals {
  return wanted != null && canStop(wanted) ? (wanted as NodeJS.Signals) : "SIGTERM";
}
