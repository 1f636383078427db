/** The sentences that a person would say of a failure pattern. @module */

/** What workers do, by `category:type` or type; "scan-worker …". */
const DOES: Readonly<Record<string, string>> = {
  network_timeout: "waits in vain for the network",
  rate_limit: "is told to slow down by a service",
  resource_contention: "cannot get a resource that others hold",
  external_service_unavailable: "cannot reach a service that it needs",
  out_of_memory: "runs out of memory",
  host_out_of_memory: "is killed because the host is out of memory",
  cpu_exhaustion: "gets no CPU",
  token_budget_exceeded: "uses up its tokens",
  disk_full: "finds the disk full",
  timeout: "takes longer than it may",
  unresponsive: "stops responding",
  degraded_performance: "becomes slow",
  uncaught_exception: "crashes with an exception",
  assertion_failure: "fails an assertion",
  configuration_error: "is configured wrongly",
  dependency_missing: "misses a dependency",
  api_error: "is refused by an API",
  max_retries_exceeded: "uses up its restarts",
  recurring_failure: "fails again and again",
  crash_loop: "crashes soon after each start",
  invalid_input: "gets input that it cannot use",
  data_corruption: "meets corrupt data",
  schema_violation: "meets data of the wrong form",
  concurrent_modification: "has its data changed under it",
  state_corruption: "has a corrupt state of its own",
  permission_denied: "is denied a permission",
  command_not_found: "misses a command",
  path_not_found: "misses a file",
  network_unreachable: "has no network",
  exposed_secret: "has a secret where it must not be",
  credential_leak: "gives credentials away",
  api_key_exposed: "shows an API key",
  outdated_dependency: "needs a newer dependency",
  vulnerable_dependency_version: "uses a dependency with a known hole",
  killed: "is killed from outside",
  unclassified: "fails for an unknown reason",
};

/** Where to look first, by type. */
const CAUSES: Readonly<Record<string, string>> = {
  network_timeout: "A network peer answers too late or not at all",
  rate_limit: "More requests are sent than the service allows",
  resource_contention: "Several workers want the same resource at once",
  external_service_unavailable: "A service that the workers need is down or refuses connections",
  out_of_memory: "The workers need more memory than their limit gives them",
  host_out_of_memory: "All processes together need more memory than the host has",
  cpu_exhaustion: "More work is started than the processors can carry",
  token_budget_exceeded: "The tasks need more tokens than they are given",
  disk_full: "The disk that the workers write to is full",
  timeout: "The tasks take longer than their limit",
  unresponsive: "The workers hang or are gone: they neither beat nor exit",
  degraded_performance: "The workers get slower under their load",
  uncaught_exception: "The program does not handle an exception",
  assertion_failure: "The program finds its own assumptions broken",
  configuration_error: "The workers' configuration is wrong or missing",
  dependency_missing: "A module or library is not installed where the workers run",
  api_error: "An API answers with an error of its own",
  max_retries_exceeded: "What makes the workers fail is not cured by restarts",
  recurring_failure: "The same work fails whoever does it",
  crash_loop: "The workers cannot start: the cause is there before their work begins",
  invalid_input: "The tasks carry input that the workers do not understand",
  data_corruption: "Stored data is damaged",
  schema_violation: "Data has another form than the program expects",
  concurrent_modification: "Two writers change the same data",
  state_corruption: "The workers' own state on disk is damaged",
  permission_denied: "The workers' user lacks a permission",
  command_not_found: "A program is not installed or not in the PATH",
  path_not_found: "A file or folder that the workers expect is missing",
  network_unreachable: "The host has no route to the network",
  exposed_secret: "A secret stands in what the workers write or push",
  credential_leak: "Credentials have left the place where they belong",
  api_key_exposed: "An API key stands where others can read it",
  outdated_dependency: "A dependency is older than what the workers need",
  vulnerable_dependency_version: "A dependency has a known hole and must be replaced",
  killed: "Something other than heald kills the workers",
  unclassified: "Not known: no rule fits what the workers left",
};

/** What is known of a pattern when its cause is told. */
export interface CauseFacts {
  /** What the rule says that named the failures. */
  readonly cause: string | null;
  readonly type: string;
  readonly workers: readonly string[];
  readonly tasks: readonly string[];
  readonly occurrences: number;
}

/** The most likely cause, in one sentence: the rule's or the type's own, and the one task that all failures share. */
export function rootCauseOf(facts: CauseFacts): string {
  const cause = facts.cause ?? CAUSES[facts.type] ?? `Failures of type ${facts.type}`;
  const [task] = facts.tasks;
  if (task !== undefined && facts.tasks.length === 1 && facts.workers.length > 1 && facts.occurrences >= 3)
    return cut(`${cause}; all of it with one task, ${task}`);
  return cause;
}

/** What is said of a pattern. */
export interface PatternFacts {
  readonly type: string;
  readonly workerType: string;
  readonly isActive: boolean;
  readonly total: number;
  readonly share: { readonly occurrences: number; readonly of: number } | null;
  readonly sinceMs: number;
  readonly lastSeenMs: number;
  readonly meanGapSeconds: number | null;
  readonly expectedBeforeMs: number | null;
}

const SHARE_OF_MIN = 3;

/** One sentence such as "scan-worker runs out of memory (14 of the last 16 failures, since 14:02, about every 9 minutes)". */
export function patternSentence(facts: PatternFacts, clock: (atMs: number) => string): string {
  const does = DOES[facts.type] ?? `fails (${facts.type})`;
  const { share } = facts;
  const often =
    share !== null && share.of >= SHARE_OF_MIN
      ? `${share.occurrences} of the last ${share.of} failures`
      : facts.total === 1
        ? "once"
        : `${facts.total} times`;
  const rhythm =
    facts.meanGapSeconds === null || facts.total < 3 ? "" : `, about every ${spanInWords(facts.meanGapSeconds)}`;
  const [from, to] = [clock(facts.sinceMs), clock(facts.lastSeenMs)];
  const since = facts.isActive
    ? `since ${from}`
    : from === to
      ? `at ${to}, over now`
      : `from ${from} to ${to}, over now`;
  const next = facts.expectedBeforeMs === null ? "" : `; next expected before ${clock(facts.expectedBeforeMs)}`;
  return `${facts.workerType} ${does} (${often}, ${since}${rhythm}${next})`;
}

/** A length of time as people say it: `40 seconds`, `9 minutes`, `3 hours`. */
export function spanInWords(seconds: number): string {
  const [count, unit] =
    seconds < 90
      ? [seconds, "second"]
      : seconds < 90 * 60
        ? [seconds / 60, "minute"]
        : seconds < 48 * 3600
          ? [seconds / 3600, "hour"]
          : [seconds / 86_400, "day"];
  const whole = Math.max(1, Math.round(count as number));
  return whole === 1 ? `${unit}` : `${whole} ${unit}s`;
}

const BARS = "▁▂▃▄▅▆▇█";

/** Counts as a line of bars, the highest one full; nothing is a space's width of dots. */
export function sparkline(counts: readonly number[]): string {
  const most = Math.max(...counts, 1);
  return counts
    .map((count) => (count <= 0 ? "·" : (BARS[Math.min(7, Math.ceil((count / most) * 8) - 1)] as string)))
    .join("");
}

function cut(text: string): string {
  return text.length <= 160 ? text : `${text.slice(0, 159)}…`;
}
