/** Signals to the group of a program that we started. @module */
import { systemCode } from "../errors.js";

/** `forbidden`: nobody of the group may be signalled by us, as where a program has made itself another user's (sudo). */
export type GroupAnswer = "sent" | "gone" | "forbidden";

/** Signals every process of a group that may be signalled. Only what is no answer is thrown. */
export function signalGroup(pgid: number, signal: NodeJS.Signals): GroupAnswer {
  try {
    process.kill(-pgid, signal);
    return "sent";
  } catch (error) {
    const code = systemCode(error);
    if (code === "ESRCH") return "gone";
    if (code === "EPERM") return "forbidden";
    throw error;
  }
}

/** What is said of a program that took too long and may not be signalled by us. */
export const LEFT_RUNNING = ", and runs on: we may not end it (is it another user's?)";
