/** Invariants of workers and their attempts. @module */
import { readInstant } from "../../lib/schema/primitives.js";
import { DEFAULT_RETENTION } from "../../lib/store/retention.js";
import type { Facts, SpecFact } from "./facts.js";
import type { Found, Invariant } from "./finding.js";

export const SPEC_INVARIANTS: readonly Invariant[] = [
  {
    name: "spec-names",
    sentence: "A spec, a launch and an exit are of the worker and the attempt that their file's name says.",
    severity: "wrong",
    repair: "",
    check: ({ specs, launches, exits }) =>
      [...specs, ...launches, ...exits].flatMap(({ shown, workerId, attempt, value }): Found[] => {
        if (value === null || workerId === null) return [];
        if (value.worker_id !== workerId)
          return [{ about: shown, message: `its worker_id is ${JSON.stringify(value.worker_id)}, not its file's` }];
        const own = value.attempt ?? attempt;
        return own === attempt ? [] : [{ about: shown, message: `its attempt is ${own}, its file's is ${attempt}` }];
      }),
  },
  {
    name: "one-place",
    sentence: "No attempt is in two places: active, zombie (or archived), completed; nor both active and given up.",
    severity: "wrong",
    repair: "",
    check: ({ specs }) => {
      const found: Found[] = [];
      for (const [about, places] of byAttempt(specs)) {
        // A worker that was given up leaves the evidence of its last attempt too: two records of one end.
        const counted = places.filter(
          ({ place }) => place !== "failed" || places.some((other) => other.place === "active"),
        );
        if (counted.length > 1)
          found.push({ about, message: `is in ${counted.map(({ shown }) => shown).join(" and in ")}` });
      }
      return found;
    },
  },
  {
    name: "no-gaps",
    sentence:
      "Between the first and the last attempt of a worker of which there is a trace, every attempt has left one.",
    severity: "wrong",
    repair: "",
    check: (facts) =>
      [...traces(facts)].flatMap(([workerId, attempts]): Found[] => {
        const missing = gapsIn([...attempts].sort((a, b) => a - b));
        return missing === null ? [] : [{ about: workerId, message: `has no trace of attempt ${missing}` }];
      }),
  },
  {
    name: "attempts-have-specs",
    sentence: "Every launch and every exit is of an attempt that has a spec, unless a person took the spec away.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const known = new Set(byAttempt(facts.specs).keys());
      // What cannot be read may be any attempt's.
      const unknown = new Set(
        facts.specs.flatMap(({ attempt, workerId }) => (attempt === null ? (workerId ?? []) : [])),
      );
      const reported = new Set<string>();
      return [...facts.launches, ...facts.exits].flatMap(({ workerId, attempt, shown }): Found[] => {
        if (workerId === null || attempt === null || unknown.has(workerId)) return [];
        const about = nameOf(workerId, attempt);
        if (known.has(about) || isForgotten(facts, workerId, attempt) || reported.has(about)) return [];
        reported.add(about);
        return [{ about, message: `has ${shown}, and no spec anywhere` }];
      });
    },
  },
  {
    name: "exits-have-launches",
    sentence: "Every exit is of an attempt that was launched.",
    severity: "wrong",
    repair: "",
    check: ({ exits, launches, specs, nowMs }) => {
      const launched = new Set(launches.map(({ workerId, attempt }) => nameOf(workerId, attempt)));
      const evidence = byAttempt(specs);
      const keptMs = DEFAULT_RETENTION.attemptHours * 3_600_000;
      return exits.flatMap(({ workerId, attempt, shown }): Found[] => {
        const about = nameOf(workerId, attempt);
        if (workerId === null || launched.has(about)) return [];
        const startedAtMs = readInstant(evidence.get(about)?.[0]?.value?.execution?.started_at);
        // The launch record of a long life is let go of before the exit record is.
        if (startedAtMs === null || nowMs - startedAtMs > keptMs) return [];
        return [{ about, message: `has ${shown}, and no launch record` }];
      });
    },
  },
];

const nameOf = (workerId: string | null, attempt: number | null): string => `${workerId} #${attempt}`;

function byAttempt(specs: readonly SpecFact[]): Map<string, SpecFact[]> {
  const places = new Map<string, SpecFact[]>();
  for (const spec of specs) {
    if (spec.workerId === null || spec.attempt === null) continue;
    const about = nameOf(spec.workerId, spec.attempt);
    places.set(about, [...(places.get(about) ?? []), spec]);
  }
  return places;
}

function traces({ specs, launches, exits }: Facts): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  for (const { workerId, attempt } of [...specs, ...launches, ...exits]) {
    if (workerId === null || attempt === null) continue;
    const known = found.get(workerId);
    if (known === undefined) found.set(workerId, new Set([attempt]));
    else known.add(attempt);
  }
  return found;
}

function gapsIn(attempts: readonly number[]): number | null {
  const after = attempts.findIndex((attempt, index) => index > 0 && attempt !== (attempts[index - 1] as number) + 1);
  return after < 0 ? null : (attempts[after - 1] as number) + 1;
}

/** A person removed the spec: the monitor has said so, or will when it runs again. */
function isForgotten(facts: Facts, workerId: string, attempt: number): boolean {
  if ((facts.stories.unwatched.get(workerId) ?? -1) >= attempt) return true;
  if (facts.running.has("heartbeat-monitor")) return false;
  return facts.states.get("heartbeat-monitor")?.parts?.has(`worker:${workerId}`) ?? false;
}
