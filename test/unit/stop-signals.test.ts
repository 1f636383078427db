/** Guarantee: no name is taken for a stop signal by which no program can be asked to end. */
import { constants } from "node:os";
import { expect, test } from "vitest";
import { STOP_SIGNALS, stopSignalOf, whyNoStopSignal } from "../../lib/schema/stop-signals.js";

test("every stop signal is one that the system can send", () => {
  expect(STOP_SIGNALS.filter((name) => constants.signals[name] === undefined)).toEqual([]);
});

test("every signal of the system but those that hold a program or let it go on is a stop signal", () => {
  const known: readonly string[] = STOP_SIGNALS;
  const others = Object.keys(constants.signals).filter((name) => !known.includes(name));
  expect(others.sort()).toEqual(["SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"]);
});

test.each([
  ["SIGTEM", 'must be a signal such as SIGTERM, got "SIGTEM"; did you mean SIGTERM'],
  ["SIGTREM", 'must be a signal such as SIGTERM, got "SIGTREM"; did you mean SIGTERM'],
  ["SIGUSR3", 'must be a signal such as SIGTERM, got "SIGUSR3"; did you mean SIGUSR1'],
  ["SIGRTMIN+3", 'must be a signal such as SIGTERM, got "SIGRTMIN+3"'],
  ["SIGSTOP", 'must be a signal that ends a program, got "SIGSTOP"'],
  ["SIGCONT", 'must be a signal that ends a program, got "SIGCONT"'],
])("%s is refused, and SIGTERM is sent in its place", (name, why) => {
  expect(whyNoStopSignal(name)).toBe(why);
  expect(stopSignalOf(name)).toBe("SIGTERM");
});

test.each(["SIGTERM", "SIGINT", "SIGKILL", "SIGWINCH"] as const)("%s is sent as it is named", (name) => {
  expect(whyNoStopSignal(name)).toBeNull();
  expect(stopSignalOf(name)).toBe(name);
});

test("where none is named it is SIGTERM", () => {
  expect([stopSignalOf(null), stopSignalOf(undefined)]).toEqual(["SIGTERM", "SIGTERM"]);
});
