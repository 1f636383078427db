/** worker-restart of a made-up history: a queue, claims and an outcome history as its sources and its performer keep them. @module */
import { restartCore } from "../../daemons/worker-restart/decide.js";
import type { Effect, Event, Facts, Request, StartEffect, Subject } from "../../daemons/worker-restart/messages.js";
import { fillPlaces } from "../../daemons/worker-restart/places.js";
import { restartPolicy } from "../../daemons/worker-restart/policy.js";
import { requestOf } from "../../daemons/worker-restart/request-file.js";
import type { RestartSettings } from "../../daemons/worker-restart/settings.js";
import type { FleetPart, Slice, WorkerPart } from "../../daemons/worker-restart/state.js";
import type { Answer } from "../../lib/runtime/core.js";
import type { EventRecord } from "../../lib/schema/events.js";
import { restartRequestSchema } from "../../lib/schema/records.js";
import { appendHistory, type HistoryRecord } from "../../lib/store/history.js";
import type { Layout } from "../../lib/store/layout.js";
import type { Fleet, Member } from "./fleet.js";
import { Host } from "./host.js";
import type { SimulatedTime } from "./time.js";

/** How long it takes until a program that was started is seen to run. */
const LAUNCH_MS = 30;

interface Filed {
  readonly member: Member;
  request: Request;
}

export interface RestartsOptions {
  readonly layout: Layout;
  readonly time: SimulatedTime;
  readonly fleet: Fleet;
  readonly onReported: (record: EventRecord) => void;
  /** The next attempt was started. */
  readonly onStarted: (member: Member) => void;
}

export class Restarts {
  readonly #options: RestartsOptions;
  readonly host: Host<Slice, Event, Effect, RestartSettings>;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #queue = new Map<string, Filed>();
  readonly #claimed = new Map<string, Filed>();
  readonly #taskHolds = new Map<string, number>();
  readonly #outcomes: Event[] = [];
  #lines = 0;
  #claims = 0;

  constructor(options: RestartsOptions) {
    this.#options = options;
    this.#members = new Map(options.fleet.members.map((member) => [member.id, member]));
    this.host = new Host({
      core: restartCore,
      policy: restartPolicy,
      raw: {
        restart_budgets: [
          { max: 10, window_seconds: 3600 },
          { max: 40, window_seconds: 86_400 },
        ],
        poison_task: { deaths: 20, window_seconds: 7200 },
      },
      layout: options.layout,
      time: options.time,
      perform: (effect) => this.#perform(effect),
      onReported: options.onReported,
    });
  }

  /** Takes a request as the queue's folder would hold it. */
  file(member: Member, record: Readonly<Record<string, unknown>>): void {
    const name = `${member.id}-restart.json`;
    this.#queue.set(name, { member, request: requestOf(restartRequestSchema.parse(record), this.#options.time.atMs) });
    this.#options.time.callAfter(2, () => this.#offerRequest(name));
  }

  #offerRequest(name: string): void {
    const event = this.#look(name);
    if (event !== null) this.host.offer(event);
  }

  #look(name: string): Event | null {
    const filed = this.#queue.get(name);
    return filed === undefined
      ? null
      : { kind: "request", ...subjectOf(filed.member), name, request: filed.request, facts: this.#facts(filed.member) };
  }

  #facts(member: Member): Facts {
    const heldUntilMs = this.#taskHolds.get(member.taskId) ?? 0;
    return {
      hold: null,
      task_held: heldUntilMs > this.#options.time.atMs,
      desired: null,
      when: "on-failure",
      requires: [],
      unlaunchable: null,
      deadline_ms: null,
      tokens: null,
      files: "v1",
      hook: false,
      attempts: 0,
      lifetime: 0,
      highest: member.attempt,
      next_exists: false,
      active: member.isActive ? { attempt: member.attempt, alive: member.isAlive } : null,
      survivors: [],
      other: null,
    };
  }

  #perform(effect: Effect): Answer<Event> {
    switch (effect.kind) {
      case "start":
        return this.#start(effect);
      case "look":
        return this.#look(effect.name) ?? { ...effect, kind: "request-gone" };
      case "look-waiting":
        return this.#waitingFor(effect);
      case "defer": {
        const filed = this.#queue.get(effect.name) ?? this.#claimed.get(effect.claimed ?? "");
        if (filed === undefined) return undefined;
        const { bare: _, ...request } = filed.request;
        filed.request = request;
        if (effect.claimed !== null) this.#claimed.delete(effect.claimed);
        this.#queue.set(effect.name, filed);
        return undefined;
      }
      case "settle":
        (effect.claimed === null ? this.#queue : this.#claimed).delete(effect.claimed ?? effect.name);
        return effect.subject === null ? undefined : { kind: "settled", ...effect.subject, name: effect.name };
      case "confirm-settled":
        return { ...effect, kind: "settled" };
      case "check":
        return this.#check(effect);
      case "append-history":
        return this.#append(effect.record as HistoryRecord);
      case "read-history":
        return this.#outcomes.splice(0);
      case "hold-task":
        this.#taskHolds.set(effect.task_id, effect.until_ms);
        return undefined;
      case "reject":
        this.#queue.delete(effect.name);
        return undefined;
      case "ask-hook":
        return { kind: "hook-answered", ...effect.subject, name: effect.name, later: false, note: "" };
      default:
        return undefined; // Files that no daemon of this history reads.
    }
  }

  #waitingFor({ gate, worker_type }: Extract<Effect, { kind: "look-waiting" }>): Event[] {
    const { loop } = this.host;
    const events: Event[] = [];
    const look = (name: string): boolean => {
      const event = this.#look(name);
      return event !== null && events.push(event) > 0;
    };
    if (gate === "concurrency") {
      const parts = loop.partsWith<WorkerPart>("worker:").values();
      fillPlaces(parts, loop.part<FleetPart>("fleet"), loop.policy, this.#options.time.atMs, look);
      return events;
    }
    for (const [name, { member }] of this.#queue) {
      const part = loop.part<WorkerPart>(`worker:${member.id}`);
      if (part?.waiting != null && (worker_type === undefined || part.worker_type === worker_type)) look(name);
    }
    return events;
  }

  #start(effect: StartEffect): Event {
    const { worker_id, worker_type, task_id, name, attempt } = effect;
    const subject = { worker_id, worker_type, task_id };
    const filed = this.#queue.get(name);
    const member = this.#members.get(worker_id) as Member;
    const refusal = { kind: "not-started", ...subject, name, attempt, claimed: null, permanent: false } as const;
    if (filed === undefined) return { ...refusal, why: "gone", message: "the request was withdrawn" };
    if (member.isActive) return { ...refusal, why: "there", message: `${worker_id} is active already` };
    this.#claims += 1;
    const claimed = `${name}#${this.#claims}`;
    this.#queue.delete(name);
    this.#claimed.set(claimed, filed);
    const { time, fleet } = this.#options;
    fleet.launch(member, attempt, Math.round(time.atMs));
    time.callAfter(LAUNCH_MS, () => {
      this.#options.onStarted(member);
      this.host.offer({ kind: "launched", ...subject, attempt, at_ms: Math.round(time.atMs) });
    });
    return { kind: "started", ...subject, name, attempt, claimed };
  }

  #check(effect: Subject & { readonly attempt: number }): Event {
    const { worker_id, worker_type, task_id, attempt } = effect;
    const member = this.#members.get(worker_id) as Member;
    const isSame = member.attempt === attempt;
    return {
      kind: "checked",
      ...{ worker_id, worker_type, task_id, attempt },
      found: isSame && member.isActive ? "active" : "zombie",
      alive: isSame && member.isAlive,
      beaten: isSame && member.sequence > 0,
      must_beat: true,
    };
  }

  /** The line is on disk; what reads the history hears of it a moment later, unless it is asked to read before. */
  #append(record: HistoryRecord): undefined {
    appendHistory(this.#options.layout, record);
    const { worker_type, worker_id, attempt, result, reason, at_ms } = record;
    const who = { worker_id: worker_id as string, attempt: attempt as number };
    const outcome = { result: reason === "relapsed" ? "relapsed" : result, atMs: at_ms as number, ...who } as const;
    this.#lines += 1;
    this.#outcomes.push({ kind: "history", worker_type, outcome, read_to: { file: "history", offset: this.#lines } });
    this.#options.time.callAfter(5, () => {
      for (const event of this.#outcomes.splice(0)) this.host.offer(event);
    });
    return undefined;
  }
}

function subjectOf(member: Member): Subject {
  return { worker_id: member.id, worker_type: member.profile.type, task_id: member.taskId };
}
