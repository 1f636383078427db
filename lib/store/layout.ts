/**
 * Where each file of a coordination directory is. No other module puts a path together.
 *
 * Ids reach a path only through `checked`: a text that is no id is a broken invariant here, because every reader refuses
 * it before.
 * @module
 */
import { join } from "node:path";
import { EVENT_LOGS, type EventLog } from "../schema/catalogue.js";
import { isId } from "../schema/primitives.js";
import type { DaemonName } from "../schema/records.js";
import { attemptName } from "../schema/worker-spec.js";
import type { Home } from "./home.js";

/** The paths of one home. The folders are put in their plain form once; a file's path is a folder's and a name. */
export class Layout {
  readonly home: Home;
  readonly coordination: string;
  readonly logs: string;
  readonly version: string;
  readonly owner: string;
  readonly status: string;
  readonly history: string;
  readonly fixHistory: string;
  readonly samples: string;
  readonly prometheus: string;
  readonly tokenBudget: string;
  readonly configDir: string;
  /** Policies that run beside those in force, without effect. */
  readonly shadowDir: string;
  readonly templatesDir: string;
  readonly activeDir: string;
  readonly zombieDir: string;
  readonly archivedDir: string;
  readonly completedDir: string;
  readonly failedDir: string;
  readonly desiredDir: string;
  readonly heartbeatsDir: string;
  readonly launchesDir: string;
  readonly exitsDir: string;
  readonly eventsDir: string;
  /** Rotated logs of every kind. */
  readonly archiveDir: string;
  readonly decisionsDir: string;
  readonly policyTextsDir: string;
  readonly stateDir: string;
  readonly queueDir: string;
  readonly claimedDir: string;
  readonly doneDir: string;
  readonly failedRequestsDir: string;
  readonly rejectedDir: string;
  readonly holdsDir: string;
  readonly breakersDir: string;
  readonly patternsDir: string;
  readonly autoFixDir: string;
  readonly notifyQueueDir: string;
  readonly notifySentDir: string;
  readonly notifyFailedDir: string;
  readonly notifyState: string;
  readonly acknowledgementsDir: string;
  /** What the log channel of notifications writes. */
  readonly notificationsLog: string;
  readonly metricsDir: string;
  readonly reportsDir: string;
  readonly hooksDir: string;
  readonly runDir: string;
  /** Pipes of launchers that are being made to stand by. */
  readonly standbyDir: string;
  /** Variables of workers that are being started, for their launchers alone. */
  readonly startsDir: string;
  readonly workerLogsDir: string;
  readonly daemonLogsDir: string;

  constructor(home: Home) {
    const at = (...parts: string[]): string => join(home.coordination, ...parts);
    this.home = home;
    this.coordination = home.coordination;
    this.logs = home.logs;
    this.version = at("VERSION");
    this.status = at("status.json");
    this.tokenBudget = at("token-budget.json");
    this.configDir = at("config");
    this.shadowDir = at("config", "shadow");
    this.templatesDir = at("worker-specs", "templates");
    this.activeDir = at("worker-specs", "active");
    this.zombieDir = at("worker-specs", "zombie");
    this.archivedDir = at("worker-specs", "archived");
    this.completedDir = at("worker-specs", "completed");
    this.failedDir = at("worker-specs", "failed");
    this.desiredDir = at("desired");
    this.heartbeatsDir = at("heartbeats");
    this.launchesDir = at("launches");
    this.exitsDir = at("exits");
    this.eventsDir = at("events");
    this.archiveDir = at("events", "archive");
    this.decisionsDir = at("decisions");
    this.policyTextsDir = at("decisions", "policies");
    this.stateDir = at("state");
    this.queueDir = at("restart", "queue");
    this.claimedDir = at("restart", "claimed");
    this.doneDir = at("restart", "done");
    this.failedRequestsDir = at("restart", "failed");
    this.rejectedDir = at("restart", "rejected");
    this.holdsDir = at("holds");
    this.breakersDir = at("circuit-breakers");
    this.patternsDir = at("patterns");
    this.autoFixDir = at("auto-fix");
    this.notifyQueueDir = at("auto-fix", "notify", "queue");
    this.notifySentDir = at("auto-fix", "notify", "sent");
    this.notifyFailedDir = at("auto-fix", "notify", "failed");
    this.notifyState = at("auto-fix", "notify", "state.json");
    this.acknowledgementsDir = at("auto-fix", "acknowledgements");
    this.metricsDir = at("metrics");
    this.reportsDir = at("reports", "failure-patterns");
    this.hooksDir = at("hooks");
    this.runDir = at("run");
    this.standbyDir = join(this.runDir, "standby");
    this.startsDir = join(this.runDir, "starts");
    this.owner = join(this.runDir, "owner.json");
    this.history = join(this.metricsDir, "worker-restart-history.jsonl");
    this.fixHistory = join(this.metricsDir, "auto-fix-history.jsonl");
    this.samples = join(this.metricsDir, "samples.jsonl");
    this.prometheus = join(this.metricsDir, "heald.prom");
    this.workerLogsDir = join(home.logs, "workers");
    this.daemonLogsDir = join(home.logs, "system");
    this.notificationsLog = join(this.daemonLogsDir, "notifications.jsonl");
  }

  /** Every folder of the layout, parents first. */
  get folders(): readonly string[] {
    const autoFix = ["pending", "approved", "rejected", "undo", "runs", "fallback"].map((name) =>
      join(this.autoFixDir, name),
    );
    return [
      ...[
        this.coordination,
        this.configDir,
        this.shadowDir,
        this.templatesDir,
        this.activeDir,
        this.zombieDir,
        this.archivedDir,
      ],
      ...[this.completedDir, this.failedDir, this.desiredDir, this.heartbeatsDir, this.launchesDir, this.exitsDir],
      ...[this.eventsDir, this.archiveDir, this.decisionsDir, this.policyTextsDir, this.stateDir],
      ...[this.queueDir, this.claimedDir, this.doneDir, this.failedRequestsDir, this.rejectedDir],
      ...[this.holdsDir, this.breakersDir, this.patternsDir, ...autoFix, this.metricsDir, this.reportsDir],
      ...[this.notifyQueueDir, this.notifySentDir, this.notifyFailedDir, this.acknowledgementsDir],
      ...[this.hooksDir, this.runDir, this.workerLogsDir, this.daemonLogsDir],
    ];
  }

  activeSpec(workerId: string): string {
    return `${this.activeDir}/${checked(workerId)}.json`;
  }

  zombieSpec(workerId: string, attempt: number): string {
    return `${this.zombieDir}/${attemptFile(workerId, attempt)}`;
  }

  completedSpec(workerId: string, attempt: number): string {
    return `${this.completedDir}/${attemptFile(workerId, attempt)}`;
  }

  failedSpec(workerId: string, attempt: number): string {
    return `${this.failedDir}/${attemptFile(workerId, attempt)}`;
  }

  template(workerType: string): string {
    return `${this.templatesDir}/${checked(workerType)}.json`;
  }

  desired(workerId: string): string {
    return `${this.desiredDir}/${checked(workerId)}.json`;
  }

  heartbeat(workerId: string): string {
    return `${this.heartbeatsDir}/${checked(workerId)}.json`;
  }

  launch(workerId: string, attempt: number): string {
    return `${this.launchesDir}/${attemptFile(workerId, attempt)}`;
  }

  exit(workerId: string, attempt: number): string {
    return `${this.exitsDir}/${attemptFile(workerId, attempt)}`;
  }

  eventLog(log: EventLog): string {
    return `${this.eventsDir}/${EVENT_LOGS[log]}`;
  }

  decisions(daemon: DaemonName): string {
    return `${this.decisionsDir}/${daemon}.jsonl`;
  }

  policyText(hash: string): string {
    return `${this.policyTextsDir}/${checked(hash)}.json`;
  }

  state(daemon: DaemonName): string {
    return `${this.stateDir}/${daemon}.json`;
  }

  journal(daemon: DaemonName): string {
    return `${this.stateDir}/${daemon}.journal.jsonl`;
  }

  queueRequest(workerId: string): string {
    return `${this.queueDir}/${checked(workerId)}-restart.json`;
  }

  breaker(workerType: string): string {
    return `${this.breakersDir}/${checked(workerType)}.json`;
  }

  /** While it exists, workers of the type should run in their fallback mode. */
  fallbackFile(workerType: string): string {
    return `${this.autoFixDir}/fallback/${checked(workerType)}`;
  }

  /** The runbook knows auto-fix's figures under a name of their own. */
  metrics(daemon: string): string {
    return `${this.metricsDir}/${checked(daemon === "auto-fix" ? "auto-fix-daemon" : daemon)}-metrics.json`;
  }

  pidFile(daemon: DaemonName): string {
    return `${this.runDir}/${daemon}.pid`;
  }

  runFile(daemon: DaemonName): string {
    return `${this.runDir}/${daemon}.json`;
  }

  lockFile(daemon: DaemonName): string {
    return `${this.runDir}/${daemon}.lock`;
  }

  workerLogDir(workerId: string): string {
    return `${this.workerLogsDir}/${checked(workerId)}`;
  }

  workerLog(workerId: string, attempt: number): string {
    return `${this.workerLogDir(workerId)}/attempt-${attempt}.log`;
  }

  daemonLog(daemon: DaemonName): string {
    return `${this.daemonLogsDir}/${daemon}-daemon.log`;
  }

  config(name: string): string {
    return `${this.configDir}/${name.endsWith(".json") ? checked(name) : `${checked(name)}.json`}`;
  }
}

function attemptFile(workerId: string, attempt: number): string {
  if (!Number.isSafeInteger(attempt) || attempt < 0) throw new RangeError(`Cannot name attempt ${attempt} of a worker`);
  return `${attemptName(checked(workerId), attempt)}.json`;
}

function checked(id: string): string {
  if (!isId(id)) throw new RangeError(`Cannot make a path of ${JSON.stringify(id)}: it is not an id`);
  return id;
}
