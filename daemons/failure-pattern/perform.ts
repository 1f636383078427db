/** Performs what the core decided: event lines, and reading on. @module */
import type { Perform } from "../../lib/runtime/core.js";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import type { LogFollower } from "../../lib/runtime/following.js";
import type { Effect, Event } from "./decide.js";

export function performer(
  context: Pick<DaemonContext<Event, unknown>, "reporter">,
  follower: LogFollower,
): Perform<Event, Effect> {
  return (effect, performing) => {
    switch (effect.kind) {
      case "report":
        context.reporter.report(effect, performing);
        return undefined;
      case "read-on":
        return follower.readOn(effect);
    }
  };
}
