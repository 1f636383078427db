/** Everything that the invariants are asked about: what stands on disk, loaded once, as plain values. @module */
import type { BreakerPolicy, BreakerState } from "../../lib/domain/breaker-state.js";
import type { JournalEntry } from "../../lib/runtime/journal.js";
import type { PendingRecord, RunRecord } from "../../lib/schema/fix-records.js";
import type { PatternIndex } from "../../lib/schema/pattern.js";
import type {
  BreakerRecord,
  DaemonName,
  ExitRecord,
  HoldRecord,
  LaunchRecord,
  RestartRequest,
  Status,
  TokenBudget,
} from "../../lib/schema/records.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import type { LogFacts } from "./log-scan.js";
import type { Repeat, Stories } from "./stories.js";

/** One entry of the home, as `lstat` says: a link is a link. */
export interface Entry {
  /** Absolute. */
  readonly path: string;
  /** As it is named to people: below `coordination/`, else absolute. */
  readonly shown: string;
  readonly kind: "file" | "folder" | "link" | "other";
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly links: number;
  readonly size: number;
  readonly mtimeMs: number;
  /** Of a temporary file: whether the process that writes it is alive. */
  readonly isWriterAlive?: boolean;
}

/** One record, or why it cannot be read. */
export interface RecordFact<T> {
  readonly path: string;
  readonly shown: string;
  /** The file's name. */
  readonly name: string;
  readonly value: T | null;
  /** Null if it was read. */
  readonly problem: string | null;
  readonly mtimeMs: number;
}

export type SpecPlace = "active" | "zombie" | "completed" | "failed" | "archived";

export interface SpecFact extends RecordFact<WorkerSpecRecord> {
  readonly place: SpecPlace;
  /** As the file's name says; null where it says nothing. */
  readonly workerId: string | null;
  /** As the file's name says, and for an active one as the record says. */
  readonly attempt: number | null;
}

export interface AttemptFact<T> extends RecordFact<T> {
  readonly workerId: string | null;
  readonly attempt: number | null;
}

export type RequestPlace = "queue" | "claimed" | "done" | "failed" | "rejected";

export interface RequestFact {
  readonly path: string;
  readonly shown: string;
  readonly name: string;
  readonly place: RequestPlace;
  readonly inode: number;
  /** The name under which it was filed. */
  readonly filedAs: string;
  /** When it was claimed; null if it never was. */
  readonly claimedAtMs: number | null;
  /** Whether the claimer is alive; null if nobody claimed it, or it cannot be told. */
  readonly claimerAlive: boolean | null;
  /** Read in `queue/` and `claimed/` only. */
  readonly value: RestartRequest | null;
  readonly problem: string | null;
}

/** The checkpoint and the journal of one daemon. */
export interface StateFacts {
  readonly checkpoint: { readonly path: string; readonly shown: string; readonly problem: string | null } | null;
  readonly journal: {
    readonly path: string;
    readonly shown: string;
    readonly size: number;
    /** Lines that cannot be read, with their numbers from 1; a last line that was cut off is `torn` instead. */
    readonly bad: readonly { readonly line: number; readonly problem: string }[];
    readonly torn: boolean;
    readonly problem: string | null;
  } | null;
  /** A part that is not as the daemon writes it: then none can be relied on. */
  readonly oddPart: string | null;
  /** As of the last journal line; null if there is neither, or they cannot be relied on. */
  readonly parts: ReadonlyMap<string, unknown> | null;
  readonly pending: readonly JournalEntry[];
}

export interface BreakerFact extends RecordFact<BreakerRecord> {
  readonly workerType: string;
}

/** What the restart history makes of a type's breaker. */
export interface BreakerHistory {
  /** With every line counted. */
  readonly all: BreakerState;
  /** Without the lines before the last reset by hand; of those in its very second, none and all. */
  readonly sinceReset: readonly BreakerState[];
  readonly lastAtMs: number;
}

/** What the events tell; see {@link Stories}. */
export type StoryFacts = {
  readonly [Part in
    | "detections"
    | "incidents"
    | "matched"
    | "pending"
    | "expired"
    | "applied"
    | "untold"
    | "told"
    | "unwatched"]: ReadonlyMap<string, Stories[Part] extends Map<string, infer Value> ? Value : never>;
} & {
  /** What came more than once and must not. */
  readonly repeats: ReadonlyMap<string, Repeat>;
};

export interface Facts {
  /** The folder, absolute. */
  readonly coordination: string;
  /** Whose it is. */
  readonly ownerUid: number;
  /** When loading began, wall milliseconds. */
  readonly nowMs: number;
  /** Within this time a death, a match and an expiry have their outcome, or are seen to be on their way to one. */
  readonly outcomeMs: number;
  /** Whether processes can be judged: the home belongs to this host and pid namespace. */
  readonly isOurs: boolean;
  readonly running: ReadonlySet<DaemonName>;
  /** Since when each running daemon runs. */
  readonly startedAtMs: ReadonlyMap<DaemonName, number>;
  readonly entries: readonly Entry[];
  readonly version: RecordFact<{ readonly format: number; readonly heald: string }> | null;
  /** Records of every other kind that cannot be read. */
  readonly unreadable: readonly RecordFact<unknown>[];
  readonly specs: readonly SpecFact[];
  readonly launches: readonly AttemptFact<LaunchRecord>[];
  readonly exits: readonly AttemptFact<ExitRecord>[];
  readonly requests: readonly RequestFact[];
  readonly holds: readonly RecordFact<HoldRecord>[];
  readonly breakers: readonly BreakerFact[];
  readonly breakerHistory: ReadonlyMap<string, BreakerHistory>;
  readonly breakerPolicy: ((workerType: string) => BreakerPolicy) | null;
  /** When the restart policy was changed last; 0 if there is no file. */
  readonly restartPolicyAtMs: number;
  /** The oldest line of the restart history; null if there is none. */
  readonly historyFromMs: number | null;
  readonly budget: RecordFact<TokenBudget> | null;
  readonly pendingFixes: readonly RecordFact<PendingRecord>[];
  readonly answeredFixes: readonly { readonly shown: string; readonly place: string; readonly runId: string }[];
  readonly runs: readonly RecordFact<RunRecord>[];
  /** Runs that have a line in the fix history. */
  readonly runsInHistory: ReadonlySet<string>;
  readonly logs: readonly LogFacts[];
  readonly stories: StoryFacts;
  /** Decisions whose id came more than once, with their daemon. */
  readonly decisionRepeats: readonly { readonly daemon: string; readonly id: string }[];
  /** The first decision that names each policy, by the policy's hash. */
  readonly policiesNamed: ReadonlyMap<string, string>;
  /** The policy texts that are there, with the hash of what they hold. */
  readonly policyTexts: ReadonlyMap<string, string>;
  readonly states: ReadonlyMap<DaemonName, StateFacts>;
  readonly status: RecordFact<Status> | null;
  /** How long heartbeat-monitor has run or ran last, by its figures, and whether `heald.prom` is there. */
  readonly figures: { readonly monitorSeconds: number; readonly prometheus: boolean; readonly prometheusPath: string };
  readonly patterns: {
    readonly path: string;
    readonly index: RecordFact<PatternIndex> | null;
    /** What the index should say; null if it cannot be told. */
    readonly expected: Omit<PatternIndex, "updated_at"> | null;
    /** Active patterns for which a fix is known, with the fixes. */
    readonly open: readonly {
      readonly patternId: string;
      readonly sinceMs: number;
      readonly fixes: readonly string[];
    }[];
  };
}
