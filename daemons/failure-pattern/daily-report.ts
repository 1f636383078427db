/** Writes the daily report at its time, and lets old ones go. @module */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { zoneOffsetHours } from "../../lib/domain/statistics/zones.js";
import { ensureDirectory, replaceFile, weatherCode } from "../../lib/platform/files.js";
import { every, type Schedule } from "../../lib/platform/schedule.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { namesIn, unlinkIfThere } from "../../lib/store/entries.js";
import type { Library } from "./library.js";
import type { Event } from "./messages.js";
import type { FailurePatternSettings } from "./policy.js";
import { reportOf } from "./report.js";
import type { KindsPart } from "./state.js";

const DAY_MS = 86_400_000;
const SUFFIX = "-failure-pattern-report.md";

type Host = Pick<DaemonContext<Event, FailurePatternSettings>, "layout" | "log" | "part" | "policy">;

export class DailyReport implements Source {
  readonly name = "daily report";
  readonly #host: Host;
  readonly #library: Library;
  readonly #lagBytes: () => number;
  #schedule: Schedule | null = null;
  #scheduled = "";

  constructor(host: Host, library: Library, lagBytes: () => number) {
    this.#host = host;
    this.#library = library;
    this.#lagBytes = lagBytes;
  }

  start(): void {
    this.policyChanged();
  }

  stop(): void {
    this.#schedule?.stop();
  }

  /** Another time, another schedule. */
  policyChanged(): void {
    const { enabled, cron, timezone } = this.#host.policy().settings.daily_report;
    const wanted = enabled ? `${cron} ${timezone}` : "";
    if (wanted === this.#scheduled) return;
    this.#scheduled = wanted;
    this.#schedule?.stop();
    this.#schedule = null;
    if (!enabled) return;
    const putOff = (fault: unknown): void => {
      if (weatherCode(fault) === null) throw fault;
      this.#host.log.warn({ cause: String(fault) }, "the daily report could not be written");
    };
    this.#schedule = every(cron, timezone, () => void this.write(Date.now()), putOff);
  }

  /** Writes the report of the day in the policy's zone; one that is there already is written anew. */
  write(nowMs: number): string {
    const { timezone, keep_days } = this.#host.policy().settings.daily_report;
    const { reportsDir } = this.#host.layout;
    const date = new Date(nowMs + zoneOffsetHours(timezone, nowMs) * 3_600_000).toISOString().slice(0, 10);
    const kinds = this.#host.part<KindsPart>("kinds");
    const figures = { failures: kinds?.failures ?? 0, ignored: kinds?.ignored ?? 0, lagBytes: this.#lagBytes() };
    const path = join(reportsDir, `${date}${SUFFIX}`);
    ensureDirectory(reportsDir);
    replaceFile(path, reportOf(date, this.#library.records(), figures, nowMs));
    this.#host.log.info({ report: `${date}${SUFFIX}` }, "the daily report is written");
    this.#expire(nowMs - keep_days * DAY_MS);
    return path;
  }

  #expire(beforeMs: number): void {
    const { reportsDir } = this.#host.layout;
    for (const name of namesIn(reportsDir).filter((each) => each.endsWith(SUFFIX))) {
      const path = join(reportsDir, name);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isFile() === true && stat.mtimeMs < beforeMs) unlinkIfThere(path);
    }
  }
}
