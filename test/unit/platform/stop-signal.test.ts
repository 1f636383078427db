/** Guarantee: a worker is asked to stop by a signal that can stop it, whatever its spec names. */
import { expect, test } from "vitest";
import { stopSignalOf } from "../../../lib/platform/stop-signal.js";

test.each(["SIGINT", "SIGQUIT", "SIGUSR1", "SIGKILL"])("%s is sent as it is named", (name) => {
  expect(stopSignalOf(name)).toBe(name);
});

test.each([null, undefined, "SIGTREM", "SIGRTMIN+1", "SIGSTOP", "SIGCONT", "toString"])("%s is SIGTERM", (name) => {
  expect(stopSignalOf(name)).toBe("SIGTERM");
});
