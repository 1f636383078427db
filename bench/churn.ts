/**
 * Many at once: a large fleet of which one in a hundred fails every minute; lag, memory, descriptors.
 *
 * Beside the whole, from the kill until the replacement runs, stand two parts of it: until a launcher was told, and of that what the daemons
 * take, from the exit record on. What comes before the record and after the telling are the end and the start of processes.
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { eventSchema } from "../lib/schema/events.js";
import { BareParent, killOne } from "./bare.js";
import { compared, percentile, pssMib, round } from "./figures.js";
import { Lab, STEADY_RESTART_POLICY } from "./lab.js";
import type { Result } from "./main.js";

const FAILING_SHARE_PER_MINUTE = 0.01;
/** Workers of the bare parent, which lives on the same machine, among the others' processes. */
const BARE_WORKERS = 100;

const POLICY = { heartbeat: { heartbeat_interval_seconds: 30 }, restart: STEADY_RESTART_POLICY };

/** @param workers Real processes; each costs two (launcher and program), about 0.5 MiB together. */
export async function churn(workers: number, seconds: number): Promise<Result> {
  const lab = new Lab(POLICY);
  let bare: BareParent | null = null;
  const pids = new Map<string, number>();
  try {
    for (let nth = 0; nth < workers; nth++) {
      lab.addWorker(`bench-${nth}`, { launch: true });
      for (const { id, pid } of lab.started()) pids.set(id, pid);
    }
    for (const { id, pid } of await lab.awaitStarted(workers - pids.size, 600_000)) pids.set(id, pid);
    const readyMs = await lab.start("heartbeat-monitor", "worker-restart");
    bare = await BareParent.open(BARE_WORKERS);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const daemons = [lab.pidOf("heartbeat-monitor"), lab.pidOf("worker-restart")];
    const memory = (): number => daemons.reduce((sum, pid) => sum + pssMib(pid), 0);
    const recoveries: number[] = [];
    const bareRecoveries: number[] = [];
    const deaths: Death[] = [];
    const attempts = new Map<string, number>();
    const memories: number[] = [];
    const everyMs = 60_000 / (workers * FAILING_SHARE_PER_MINUTE);
    const heald = { lab, pids };
    const ids = [...pids.keys()];
    const until = (atMs: number): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
    const end = performance.now() + seconds * 1000;
    for (let nth = 0; performance.now() < end; nth++) {
      const from = performance.now();
      const id = ids[(nth * 7919) % ids.length] as string;
      const attempt = attempts.get(id) ?? 1;
      const killedAtMs = Date.now();
      recoveries.push(await killOne(heald, id));
      attempts.set(id, attempt + 1);
      const recordedAtMs = statSync(lab.layout.exit(id, attempt), { throwIfNoEntry: false })?.mtimeMs ?? null;
      deaths.push({ id, attempt, killedAtMs, recordedAtMs });
      if (nth % 10 === 0) memories.push(memory());
      await until(from + everyMs / 2);
      bareRecoveries.push(await killOne(bare, `bench-${nth % BARE_WORKERS}`));
      await until(from + everyMs);
    }
    const third = Math.max(1, Math.floor(memories.length / 3));
    return {
      name: "churn",
      what: `${workers} real workers, ${FAILING_SHARE_PER_MINUTE * 100} % killed every minute for ${seconds} s; SIGKILL until the replacement runs; in turn with a bare parent of ${BARE_WORKERS} workers among them`,
      policy: POLICY,
      leaves_out: "beats",
      ...compared(recoveries, bareRecoveries),
      over_100_ms: recoveries.filter((ms) => ms > 100).length,
      baseline_over_100_ms: bareRecoveries.filter((ms) => ms > 100).length,
      ...partsOf(lab, deaths),
      ready_ms: round(readyMs, 0),
      pss_mib_first_third: round(percentile(memories.slice(0, third), 0.5), 1),
      pss_mib_last_third: round(percentile(memories.slice(-third), 0.5), 1),
      descriptors: daemons.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0),
      inotify_watches_max: Number(readFileSync("/proc/sys/fs/inotify/max_user_watches", "utf8")),
    };
  } finally {
    await bare?.close();
    await lab.close();
  }
}

interface Death {
  readonly id: string;
  readonly attempt: number;
  readonly killedAtMs: number;
  /** When its exit record was written, to the kernel's tick: up to 4 ms too early. Null if there was none yet. */
  readonly recordedAtMs: number | null;
}

/** Until a launcher was told, by what worker-restart says of it. Deaths of which it says nothing are counted. */
function partsOf(lab: Lab, deaths: readonly Death[]): Record<string, number> {
  const told = new Map<string, number>();
  // Behind the last end of a line is one that is being written.
  const lines = readFileSync(lab.layout.eventLog("worker-restart"), "utf8").split("\n").slice(0, -1);
  for (const line of lines) {
    if (!line.includes('"worker_restart_started"')) continue;
    const { worker_id, attempt, at_ms } = eventSchema.parse(JSON.parse(line));
    told.set(`${worker_id} ${attempt}`, at_ms as number);
  }
  const fromKill: number[] = [];
  const fromRecord: number[] = [];
  for (const { id, attempt, killedAtMs, recordedAtMs } of deaths) {
    const toldAtMs = told.get(`${id} ${attempt + 1}`);
    if (toldAtMs === undefined) continue;
    fromKill.push(toldAtMs - killedAtMs);
    if (recordedAtMs !== null) fromRecord.push(toldAtMs - recordedAtMs);
  }
  const figures = (name: string, samples: readonly number[]): Record<string, number> => ({
    [`${name}_p50_ms`]: round(percentile(samples, 0.5)),
    [`${name}_p99_ms`]: round(percentile(samples, 0.99)),
    [`${name}_max_ms`]: round(Math.max(...samples)),
    [`${name}_over_100_ms`]: samples.filter((ms) => ms > 100).length,
  });
  return {
    ...figures("kill_to_told", fromKill),
    ...figures("record_to_told", fromRecord),
    untold: deaths.length - fromKill.length,
  };
}
