/**
 * The fleet of a made-up history: a thousand workers of ten types, each with its own troubles, from a seed.
 *
 * Nothing is decided here. A worker beats, is late, crashes with last words, or hangs; what follows is the daemons'.
 *
 * @module
 */
import type { ExitFacts, KnownProcess } from "../../daemons/heartbeat-monitor/facts.js";

const DAY_MS = 86_400_000;

/** A way for an attempt to end, how often it happens among all ends, and what is left of it. */
interface Way {
  readonly share: number;
  readonly exit: Pick<ExitFacts, "exit_code" | "signal" | "oom_kills"> | "hang";
  readonly words: string;
}

/** What the workers of one type are like. */
export interface Profile {
  readonly type: string;
  readonly endsPerDay: number;
  readonly ways: readonly Way[];
}

const exit = (exit_code: number, signal: string | null = null, oom_kills = 0) => ({ exit_code, signal, oom_kills });
const CRASH: Way = {
  share: 5,
  exit: exit(1),
  words: "TypeError: Cannot read properties of undefined (reading 'rows')\n    at merge (/srv/app/src/merge.js:41:17)",
};
const NETWORK: Way = { share: 4, exit: exit(1), words: "Error: connect ETIMEDOUT 10.0.3.17:5432" };
const RATE: Way = {
  share: 3,
  exit: exit(1),
  words: "HTTP 429 Too Many Requests: rate limit exceeded, retry after 20 s",
};
const MEMORY: Way = { share: 2, exit: exit(137, "SIGKILL", 1), words: "" };
const DISK: Way = { share: 1, exit: exit(1), words: "Error: ENOSPC: no space left on device, write" };
const ASSERT: Way = { share: 1, exit: exit(134, "SIGABRT"), words: "assertion failed: cursor <= end" };
const HANG: Way = { share: 2, exit: "hang", words: "waiting for lock orders" };
const CONFIG: Way = { share: 0.02, exit: exit(78), words: "Cannot load settings.toml: port must be a number" };

export const PROFILES: readonly Profile[] = [
  { type: "scan-worker", endsPerDay: 9, ways: [CRASH, NETWORK, HANG] },
  { type: "index-worker", endsPerDay: 8, ways: [NETWORK, MEMORY, HANG] },
  { type: "mail-worker", endsPerDay: 14, ways: [RATE, NETWORK] },
  { type: "image-worker", endsPerDay: 10, ways: [MEMORY, CRASH] },
  { type: "report-worker", endsPerDay: 6, ways: [CRASH, DISK, CONFIG] },
  { type: "sync-worker", endsPerDay: 12, ways: [NETWORK, RATE, ASSERT] },
  { type: "agent-worker", endsPerDay: 11, ways: [RATE, HANG, CRASH] },
  { type: "billing-worker", endsPerDay: 3, ways: [ASSERT, NETWORK, CONFIG] },
  { type: "search-worker", endsPerDay: 7, ways: [MEMORY, NETWORK, HANG] },
  { type: "export-worker", endsPerDay: 10, ways: [DISK, CRASH, NETWORK, HANG] },
];

export interface Member {
  readonly id: string;
  readonly profile: Profile;
  readonly taskId: string;
  attempt: number;
  process: KnownProcess | null;
  isAlive: boolean;
  isBeating: boolean;
  sequence: number;
  startedAtMs: number;
  /** How the current attempt ended; null while it runs. */
  exit: ExitFacts | null;
  words: string;
  /** Whether there is an active spec of it. */
  isActive: boolean;
}

export class Fleet {
  readonly members: readonly Member[];
  readonly chance: () => number;
  #pids = 1000;

  constructor(workers: number, chance: () => number) {
    this.chance = chance;
    this.members = Array.from({ length: workers }, (_, nth) => newMember(nth));
  }

  /** A process for the next attempt. */
  launch(member: Member, attempt: number, atMs: number): void {
    this.#pids += 1;
    member.attempt = attempt;
    member.process = {
      identity: {
        pid: this.#pids,
        start_time: Math.floor(atMs / 10) % 1e9,
        boot_id: "simulated",
        pid_ns: "1",
        host: "here",
      },
      launcher_pid: this.#pids - 1,
      launcher_start_time: 1,
      origin: "launched",
      may_signal: true,
      started_at_ms: atMs,
      memory_limit_enforced_by: null,
      memory_folder: null,
    };
    Object.assign(member, { isAlive: true, isBeating: true, isActive: true, sequence: 0, startedAtMs: atMs });
    Object.assign(member, { exit: null, words: "" });
  }

  /** How long the attempt that begins now will run: a Poisson process of ends, and a bad hour now and then. */
  lifeMs(member: Member): number {
    const isBadHour = this.chance() < 0.03;
    const perDay = member.profile.endsPerDay * (isBadHour ? 200 : 1);
    return Math.max(500, (-Math.log(1 - this.chance()) * DAY_MS) / perDay);
  }

  /** How it will end. */
  wayOf(member: Member): Way {
    const { ways } = member.profile;
    let at = this.chance() * ways.reduce((sum, way) => sum + way.share, 0);
    for (const way of ways) {
      at -= way.share;
      if (at < 0) return way;
    }
    return ways[0] as Way;
  }
}

function newMember(nth: number): Member {
  const profile = PROFILES[nth % PROFILES.length] as Profile;
  const number = Math.floor(nth / PROFILES.length) + 1;
  return {
    id: `worker-${profile.type.replace("-worker", "")}-${number}`,
    profile,
    taskId: `${profile.type.replace("-worker", "")}-${number}`,
    attempt: 0,
    process: null,
    isAlive: false,
    isBeating: false,
    sequence: 0,
    startedAtMs: 0,
    exit: null,
    words: "",
    isActive: false,
  };
}
