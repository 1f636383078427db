/**
 * A person's answers: proposals moved to `approved/` or `rejected/`, and runs that are to be undone. Plain files, so that
 * `mv` over ssh is enough.
 *
 * @module
 */
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { watchDirectory } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import { namesIn, unlinkIfThere } from "../../lib/store/entries.js";
import { type FixFolder, fixesIn, fixFile, readAnswer, readProposal, refuseAnswer } from "../../lib/store/fix-runs.js";
import type { Event } from "./messages.js";
import type { Context } from "./rules.js";
import { isUndoneByPerson, type RunPart, refOf } from "./state.js";

const SCAN_EVERY_SECONDS = 5;
const KEPT_MS = 90 * 86_400_000;
const FOLDERS = ["approved", "rejected", "undo"] as const;
const READING = "reading answers";
const GONE = "its pattern, its policy or its fix is gone";
/** Named like a run, it answers the healer's own brake. */
const BRAKE = "resume";

export class ApprovalSource implements Source {
  readonly name = "approvals";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: Context;
  readonly #shelter: Shelter;
  readonly #consider: (run: RunPart, by: string) => Event | null;
  readonly #seen = new Map<string, string>();
  /** What was told of a file beside which it could not be written yet. */
  readonly #told = new Map<string, string>();
  readonly #isHostStopping: () => boolean;
  #watches: { close(): void }[] = [];

  constructor(context: Context, consider: (run: RunPart, by: string) => Event | null, isHostStopping: () => boolean) {
    this.#context = context;
    this.#shelter = new Shelter(context.log);
    this.#consider = consider;
    this.#isHostStopping = isHostStopping;
  }

  start(): void {
    const { layout, log } = this.#context;
    this.#watches = FOLDERS.map((folder) =>
      watchDirectory(
        join(layout.autoFixDir, folder),
        () => this.scan(),
        (fault) => log.warn({ folder, cause: String(fault) }, "answers are looked for every few seconds"),
      ),
    );
    for (const run of [...this.#context.partsWith<RunPart>("run:").values()])
      if (run.phase !== "done") this.#context.offer({ kind: "resume", ...refOf(run) });
    this.scan();
  }

  stop(): void {
    for (const watch of this.#watches) watch.close();
  }

  scan(): void {
    // An answer that comes while the host goes down stays where it is: read now, it would be refused for that alone.
    if (this.#isHostStopping()) return;
    let areAllDone = true;
    const piece = (action: () => void): void => {
      if (!this.#shelter.runPiece(READING, action)) areAllDone = false;
    };
    // Each file by itself: one that cannot be read for long must not stand before the others.
    for (const folder of [...FOLDERS, "pending"] as const)
      piece(() => {
        for (const runId of fixesIn(this.#context.layout, folder)) piece(() => this.#lookAt(folder, runId));
      });
    piece(() => this.#tidyPending());
    piece(() => this.#runOut());
    piece(() => this.#expire());
    if (areAllDone) this.#shelter.worked(READING);
  }

  /** Deals with a file that is another than the one that was dealt with last; what bad weather stopped is not dealt with. */
  #lookAt(folder: (typeof FOLDERS)[number] | "pending", runId: string): void {
    const path = fixFile(this.#context.layout, folder, runId);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    // A move changes the time of change, not of writing.
    const version = `${stat.ino}:${stat.ctimeMs}`;
    if (this.#seen.get(path) === version) return;
    this.#seen.set(path, version);
    try {
      if (folder === "pending") this.#lookAtProposal(runId);
      else this.#answer(folder, runId);
    } catch (error) {
      this.#seen.delete(path);
      throw error;
    }
  }

  /** A proposal that cannot be read waits for nobody: that is said, and taken back when it can be read or is gone. */
  #lookAtProposal(runId: string): void {
    const { layout } = this.#context;
    const path = fixFile(layout, "pending", runId);
    const proposal = readProposal(layout, runId, Date.now());
    if (proposal.kind === "unfinished") this.#seen.delete(path);
    else if (proposal.kind === "refused") this.#refuse("pending", runId, proposal.why);
    else unlinkIfThere(`${path}.why`);
  }

  /** What was said beside a proposal goes with it. */
  #tidyPending(): void {
    const folder = join(this.#context.layout.autoFixDir, "pending");
    for (const name of namesIn(folder))
      if (name.endsWith(".json.why") && !existsSync(join(folder, name.slice(0, -".why".length))))
        unlinkIfThere(join(folder, name));
  }

  #answer(folder: (typeof FOLDERS)[number], runId: string): void {
    const { layout } = this.#context;
    const path = fixFile(layout, folder, runId);
    const run = this.#context.part<RunPart>(`run:${runId}`);
    const answer = readAnswer(layout, folder, runId, Date.now());
    if (answer.kind === "absent") return;
    // Whether it was finished since is looked at again, also where nothing is written any more.
    if (answer.kind === "unfinished") return void this.#seen.delete(path);
    if (answer.kind === "refused") return this.#refuse(folder, runId, answer.why);
    if (folder === "undo" && runId === BRAKE) {
      unlinkIfThere(path);
      return this.#context.offer({ kind: "person-clears-breaker", by: answer.by });
    }
    if (run === null)
      return existsSync(fixFile(layout, "runs", runId))
        ? undefined
        : this.#refuse(folder, runId, "no such run waits for an answer");
    if (run.phase !== "pending" || folder === "undo") return this.#answerLater(folder, run, answer.by);
    if (folder === "rejected") return this.#context.offer({ kind: "declined", ...refOf(run), by: answer.by });
    if (JSON.stringify(answer.record.diff) !== JSON.stringify(run.diff) || answer.record.fix_id !== run.fix_id)
      return this.#refuse(folder, runId, "it is not what was proposed: its content was changed");
    const event = this.#consider(run, answer.by);
    this.#context.offer(event ?? { kind: "withdrawn", ...refOf(run), why: GONE });
  }

  /** About a run that waits no more. An answer that was followed stays where it is, and is seen again at each start. */
  #answerLater(folder: (typeof FOLDERS)[number], run: RunPart, by: string): void {
    if (folder === "undo")
      return isUndoneByPerson(run) ? undefined : this.#context.offer({ kind: "undo-asked", ...refOf(run), by });
    const isApproved = run.approved_by !== null;
    if (folder === "approved" && !isApproved)
      return this.#refuse(folder, run.run_id, `it does not wait any more: ${run.message}`);
    if (folder === "rejected" && isApproved)
      this.#refuse(folder, run.run_id, `${run.approved_by} has approved it; heald fix undo takes it back`);
  }

  /** Said once, beside the file, which stays as it is. */
  #refuse(folder: FixFolder, runId: string, why: string): void {
    const { layout, reporter } = this.#context;
    const path = fixFile(layout, folder, runId);
    if (existsSync(`${path}.why`)) return;
    const file = `auto-fix/${folder}/${runId}.json`;
    // First the event: what stands beside the file says that it was told.
    if (this.#told.get(path) !== why)
      reporter.news("record_refused", {
        message: `${file} is refused: ${why}`,
        reason: "approval",
        data: { daemon: "auto-fix", file, problem: why },
      });
    this.#told.set(path, why);
    refuseAnswer(layout, folder, runId, why);
    this.#told.delete(path);
  }

  /** By the time that a proposal names, which the timer of a host that slept is behind. */
  #runOut(): void {
    const nowMs = Date.now();
    for (const run of [...this.#context.partsWith<RunPart>("run:").values()])
      if (run.phase === "pending" && nowMs >= (run.expires_ms ?? Infinity))
        this.#context.offer({ kind: "expire-due", ...refOf(run) });
  }

  /** Records of what is long over go, and so does what is remembered of them. */
  #expire(): void {
    const { layout } = this.#context;
    const oldMs = Date.now() - KEPT_MS;
    for (const folder of [...FOLDERS, "runs"] as readonly FixFolder[]) {
      const path = join(layout.autoFixDir, folder);
      for (const name of namesIn(path).slice(0, 2000)) {
        const stat = lstatSync(join(path, name), { throwIfNoEntry: false });
        if (stat === undefined || stat.mtimeMs >= oldMs || stat.ctimeMs >= oldMs || !stat.isFile()) continue;
        unlinkIfThere(join(path, name));
      }
    }
    for (const run of [...this.#context.partsWith<RunPart>("run:").values()])
      if (run.phase === "done" && run.started_ms < oldMs) this.#context.offer({ kind: "forget", ...refOf(run) });
  }
}
