/** The signals by which a program may be asked to end, and what is said of other names. Pure. @module */
import { nearestName, show } from "./problems.js";

/** Those of Linux that ask or force a program to end, or that a program may take as such; the likeliest first. */
export const STOP_SIGNALS = [
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGABRT",
  "SIGALRM",
  "SIGPIPE",
  "SIGPWR",
  "SIGILL",
  "SIGTRAP",
  "SIGIOT",
  "SIGBUS",
  "SIGFPE",
  "SIGSEGV",
  "SIGCHLD",
  "SIGSTKFLT",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGIO",
  "SIGPOLL",
  "SIGSYS",
] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

const DEFAULT: StopSignal = "SIGTERM";

/** These stop a program where it stands, or let it go on: whoever is asked by one of them never ends. */
const HOLDING: ReadonlySet<string> = new Set(["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"]);

/** What is wrong with the name of a stop signal, as part of a sentence; null where nothing is. */
export function whyNoStopSignal(name: string): string | null {
  if (isStopSignal(name)) return null;
  if (HOLDING.has(name)) return `must be a signal that ends a program, got ${show(name)}`;
  const near = nearestName(name, STOP_SIGNALS);
  return `must be a signal such as SIGTERM, got ${show(name)}${near === null ? "" : `; did you mean ${near}`}`;
}

/** The signal to send: the one that is named, or SIGTERM where that is none. A worker must be asked before it is killed. */
export function stopSignalOf(name: string | null | undefined): StopSignal {
  return name !== null && name !== undefined && isStopSignal(name) ? name : DEFAULT;
}

function isStopSignal(name: string): name is StopSignal {
  return (STOP_SIGNALS as readonly string[]).includes(name);
}
