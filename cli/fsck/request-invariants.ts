/** Invariants of requests to restart. @module */
import { accountedFor } from "../../daemons/worker-restart/orphans.js";
import type { Facts, RequestFact } from "./facts.js";
import type { Found, Invariant } from "./finding.js";

export const REQUEST_INVARIANTS: readonly Invariant[] = [
  {
    name: "one-request",
    sentence: "A request is in one of queue, claimed, done, failed and rejected.",
    severity: "wrong",
    repair: "a claim whose end is on file is dropped",
    check: ({ requests }) => {
      const places = new Map<string, RequestFact[]>();
      for (const request of requests.filter(({ name }) => name.endsWith(".json"))) {
        // A claim and its end share a name; a move that was cut in two left two names of one file.
        const keys = [`inode ${request.inode}`, ...(request.claimedAtMs === null ? [] : [`name ${request.name}`])];
        for (const key of keys) places.set(key, [...(places.get(key) ?? []), request]);
      }
      const twice = [...places.values()].filter((found) => found.length > 1);
      return [...new Map(twice.map((found) => [found[0]?.shown, found])).values()].map(twiceFound);
    },
  },
  {
    name: "claims-have-owners",
    sentence: "A claimed request has a claimer that is alive, or a restart on probation that accounts for it.",
    severity: "wrong",
    repair: "the request waits again, as worker-restart would do it at its start",
    check: (facts) => {
      const state = facts.states.get("worker-restart");
      const known = accountedFor(state?.parts ?? []);
      // Where it is not known what is in hand, it is for worker-restart alone to say.
      const isKnown = state === undefined || (state.oddPart === null && (state.checkpoint?.problem ?? null) === null);
      return facts.requests
        .filter(({ place, claimerAlive }) => place === "claimed" && claimerAlive === false)
        .filter(({ name, filedAs }) => !known.has(name) && !known.has(filedAs))
        .map(({ shown, path }) => ({
          about: shown,
          message: "its claimer is dead, and no restart in hand accounts for it",
          ...(isKnown ? { repair: { kind: "put-back", path, owner: "worker-restart" } as const } : {}),
        }));
    },
  },
  {
    name: "rejections-have-reasons",
    sentence:
      "A rejected request has one sentence beside it that says why, and no such sentence is without its request.",
    severity: "warning",
    repair: "",
    check: ({ requests }) => {
      const names = new Set(requests.filter(({ place }) => place === "rejected").map(({ name }) => name));
      return [...names].flatMap((name): Found[] => {
        const about = `restart/rejected/${name}`;
        if (!name.endsWith(".why"))
          return names.has(`${name}.why`) ? [] : [{ about, message: "has no .why beside it" }];
        return names.has(name.slice(0, -".why".length))
          ? []
          : [{ about, message: "is about a request that is not there" }];
      });
    },
  },
];

function twiceFound(found: readonly RequestFact[]): Found {
  const [first] = found as [RequestFact];
  const message = `is in ${found.map(({ shown }) => shown).join(" and in ")}`;
  const claimed = found.find(({ place }) => place === "claimed");
  const isOrphan = claimed !== undefined && claimed.claimerAlive === false;
  const about = { about: first.shown, message };
  return isOrphan ? { ...about, repair: { kind: "put-back", path: claimed.path, owner: "worker-restart" } } : about;
}

const waiting = new WeakMap<Facts, ReadonlySet<string>>();

/** Whether a worker has a request that waits or is in hand. */
export function waits(facts: Facts, workerId: string): boolean {
  const known = waiting.get(facts) ?? waitingIn(facts);
  waiting.set(facts, known);
  return known.has(workerId);
}

function waitingIn({ requests }: Facts): ReadonlySet<string> {
  const found = requests.filter(({ place }) => place === "queue" || place === "claimed");
  return new Set(found.map(({ value, filedAs }) => value?.worker_id ?? workerOf(filedAs)));
}

/** The worker whose request has this name, as the monitor and `heald` file them. */
export function workerOf(filedAs: string): string {
  return filedAs.replace(/-restart\.json$/, "");
}
