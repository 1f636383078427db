/**
 * Makes the recorded history of a fleet: the four daemons' own cores on the real loop, in simulated time, from a seed.
 *
 * Every event line and every decision record is written by the daemons' own reporter, so that a replay, a backtest or a
 * search over it is over what a live installation would have left. What the daemons only keep for each other (launch and
 * exit records, beats, samples, journals) is not written.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LastWords } from "../../daemons/failure-pattern/naming.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { openHome } from "../../lib/store/home.js";
import { Layout } from "../../lib/store/layout.js";
import { makeIndex, withoutIndex } from "../../lib/store/log-index.js";
import { generator } from "../chance.js";
import { Fleet, type Member } from "./fleet.js";
import { Learning } from "./learning.js";
import { Mending } from "./mending.js";
import { Monitoring } from "./monitoring.js";
import { Restarts } from "./restarts.js";
import { SimulatedTime } from "./time.js";

const HOUR_MS = 3_600_000;
/** Words of attempts that ended are kept until failure-pattern has read of them. */
const WORDS_MAX = 20_000;

export interface HistoryOptions {
  /** The home's folder; it is made. */
  readonly folder: string;
  readonly workers: number;
  readonly hours: number;
  readonly seed: number;
  /** When the history ends, wall-clock milliseconds. */
  readonly endAtMs: number;
  /** Beats: one in so many seconds, and the share of them that is late. */
  readonly intervalSeconds?: number;
  readonly lateShare?: number;
  /** Told once for each simulated hour. */
  readonly onHour?: (hour: number) => void;
}

export interface HistoryFigures {
  readonly events: number;
  readonly decisions: Readonly<Record<string, number>>;
}

/** The places of a home of that name. */
export function layoutOf(folder: string): Layout {
  const home = {
    home: folder,
    coordination: join(folder, "coordination"),
    logs: join(folder, "agents", "logs"),
    namedBy: "flag" as const,
  };
  openHome(home, { create: true, claimOwnership: false });
  return new Layout(home);
}

/** Makes a history. With the same options it is the same one, but for the lines that say that a log was rotated. */
export function makeHistory(options: HistoryOptions): HistoryFigures {
  const layout = layoutOf(options.folder);
  const time = new SimulatedTime(options.endAtMs - options.hours * HOUR_MS);
  const fleet = new Fleet(options.workers, generator(options.seed));
  const words = new Map<string, LastWords>();
  let events = 0;
  const parts: { learning?: Learning } = {};
  const onReported: ConstructorParameters<typeof Monitoring>[0]["onReported"] = (record) => {
    events += 1;
    parts.learning?.note(record);
  };
  const shared = { layout, time, fleet, onReported };
  const mending = new Mending(shared);
  const learning = new Learning({
    ...shared,
    wordsOf: (id, attempt) => words.get(`${id}.${attempt}`) ?? null,
    onPublished: (record) => mending.notice(record),
  });
  parts.learning = learning;
  const restarts = new Restarts({ ...shared, onStarted: (member) => monitoring.begin(member) });
  const monitoring = new Monitoring({
    ...shared,
    intervalSeconds: options.intervalSeconds ?? 300,
    lateShare: options.lateShare ?? 0.18,
    onRequest: (member, request) => {
      keepWords(words, member, String(request.reason));
      restarts.file(member, request);
    },
  });
  monitoring.start();
  learning.start();
  for (const member of fleet.members) begin(time, fleet, monitoring, member);
  const hosts = [monitoring.host, restarts.host, learning.host, mending.host];
  for (let hour = 1; hour <= options.hours; hour++) {
    time.advance(HOUR_MS);
    learning.compact();
    for (const { reporter } of hosts) reporter.rotate(Math.round(time.atMs));
    makeIndexes(layout);
    options.onHour?.(hour);
  }
  learning.close();
  for (const { reporter } of hosts) reporter.close();
  for (const member of fleet.members) writeSpec(layout, member);
  const [monitored, restarted, learnt, mended] = hosts.map(({ decisions }) => decisions) as [
    number,
    number,
    number,
    number,
  ];
  return {
    events,
    decisions: {
      "heartbeat-monitor": monitored,
      "worker-restart": restarted,
      "failure-pattern": learnt,
      "auto-fix": mended,
    },
  };
}

/** What each daemon does within seconds of a rotation. */
function makeIndexes(layout: Layout): void {
  for (const daemon of DAEMONS)
    for (const { file, field } of withoutIndex(layout, daemon)) for (const _ of makeIndex(file, field));
}

/** The first attempts begin over ten minutes, as an operator would bring a fleet up. */
function begin(time: SimulatedTime, fleet: Fleet, monitoring: Monitoring, member: Member): void {
  time.callAfter(1000 + fleet.chance() * 600_000, () => {
    fleet.launch(member, 1, Math.round(time.atMs));
    monitoring.begin(member);
  });
}

function keepWords(words: Map<string, LastWords>, member: Member, reason: string): void {
  const { exit } = member;
  words.set(`${member.id}.${member.attempt}`, {
    reason,
    evidence: exit === null ? null : "exit_record",
    exit_code: exit?.exit_code ?? null,
    signal: exit?.signal ?? null,
    signal_inferred: exit?.signal_inferred ?? false,
    killed_by: null,
    log_tail: member.words,
  });
  if (words.size <= WORDS_MAX) return;
  const oldest = words.keys().next().value;
  if (oldest !== undefined) words.delete(oldest);
}

/** What is there of a worker at the end. */
function writeSpec(layout: Layout, member: Member): void {
  if (!member.isActive) return;
  const spec = {
    worker_id: member.id,
    worker_type: member.profile.type,
    task_id: member.taskId,
    status: "running",
    attempt: member.attempt,
    created_at: writeInstant(member.startedAtMs),
    heartbeat: { mode: "required", status: "healthy" },
  };
  writeFileSync(layout.activeSpec(member.id), `${JSON.stringify(spec)}\n`, { mode: 0o640 });
}
