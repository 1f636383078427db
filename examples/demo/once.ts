/** Counts whether every death was answered exactly once, whatever became of the daemons in between. @module */
import { PLAYERS } from "./cast.js";
import type { World } from "./world.js";

/**
 * A monitor that is killed between filing a request and noting it down files it again; worker-restart tells by the
 * attempt that it has done this one, and puts it away as a duplicate. So each death must have one request that is none.
 */
export function doneTwiceOrLost(world: World): readonly string[] {
  const { chronicle } = world;
  const ids = chronicle.all.map(({ id }) => id);
  const repeated = ids.length - new Set(ids).size;
  return [
    ...(repeated > 0 ? [`${repeated} events were written twice`] : []),
    ...(chronicle.spoilt > 0 ? [`${chronicle.spoilt} lines of the logs are no events`] : []),
    ...PLAYERS.flatMap(({ id }) => faultsOf(world, id)),
  ];
}

/** How many requests were recognised as repeats. */
export function repeatsRecognised(world: World): number {
  return PLAYERS.flatMap(({ id }) => world.fleet.requests(id)).filter((request) => !isNoRepeat(request)).length;
}

function isNoRepeat(request: { readonly verdict: string | null }): boolean {
  return request.verdict !== "duplicate";
}

function faultsOf(world: World, workerId: string): string[] {
  const { chronicle, fleet } = world;
  const launched = fleet.launches(workerId).map(({ attempt }) => attempt);
  const latest = Math.max(0, ...launched);
  const isActive = fleet.spec(workerId) !== null;
  const ended = launched.filter((attempt) => attempt < latest || !isActive);
  const told = (...types: string[]): number[] => chronicle.of(workerId, ...types).map(({ attempt }) => attempt ?? 0);
  return [
    ...differences(`${workerId}: death of attempt`, ended, told("worker_exited", "zombie_detected")),
    ...differences(
      `${workerId}: request for attempt`,
      ended,
      fleet
        .requests(workerId)
        .filter(isNoRepeat)
        .map(({ attempt }) => attempt),
    ),
    ...differences(
      `${workerId}: start of attempt`,
      launched.filter((attempt) => attempt > 1),
      told("worker_restart_started"),
    ),
    ...repeats(
      `${workerId}: history of attempt`,
      fleet.history(workerId).map(({ attempt }) => attempt),
    ),
  ];
}

/** Says which of the wanted numbers are missing, and which are there that should not be, or more than once. */
function differences(what: string, wanted: readonly number[], found: readonly number[]): string[] {
  const missing = wanted.filter((number) => !found.includes(number));
  const foreign = found.filter((number) => !wanted.includes(number));
  return [
    ...missing.map((number) => `${what} ${number} is lost`),
    ...foreign.map((number) => `${what} ${number} should not be`),
    ...repeats(what, found),
  ];
}

function repeats(what: string, found: readonly number[]): string[] {
  const again = found.filter((number, index) => found.indexOf(number) !== index);
  return [...new Set(again)].map(
    (number) => `${what} ${number} is there ${found.filter((n) => n === number).length} times`,
  );
}
