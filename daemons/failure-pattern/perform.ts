/** Performs what the core decided: event lines, last words, snapshots of patterns, and reading on. @module */
import type { Perform } from "../../lib/runtime/core.js";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import type { LogFollower } from "../../lib/runtime/following.js";
import type { Gatherer } from "./gatherer.js";
import type { Library } from "./library.js";
import type { Likeness } from "./likeness.js";
import type { Effect, Event, Sighting } from "./messages.js";

export function performer(
  context: Pick<DaemonContext<Event, unknown>, "reporter">,
  follower: LogFollower<Sighting>,
  gatherer: Gatherer,
  library: Library,
  likeness: Likeness,
): Perform<Event, Effect> {
  return (effect, performing) => {
    switch (effect.kind) {
      case "report":
        context.reporter.report(effect, performing);
        return undefined;
      case "read-on":
        return follower.readOn(effect);
      case "gather":
        return gatherer.gather(effect.sightings);
      case "count":
        library.makeRoom(effect.pattern_id);
        likeness.learn(effect);
        return { ...effect, kind: "counted" };
      case "recover":
        return { ...effect, kind: "recovered" };
      case "publish":
        library.publish(effect.record);
        return undefined;
      case "ask-lag":
        return { kind: "lag-known", pattern_id: effect.pattern_id, caught_up: library.isCaughtUp() };
    }
  };
}
