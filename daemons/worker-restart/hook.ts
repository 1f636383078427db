/** `hooks/before_restart`: the operator's own gate before a start. @module */
import { type Bulkhead, bulkhead } from "../../lib/platform/tasks.js";
import { askHook } from "../../lib/runtime/asked-hooks.js";
import type { PerformContext } from "../../lib/runtime/core.js";
import { SpecStore } from "../../lib/store/specs.js";
import { type Effect, type Event, subjectOf } from "./messages.js";
import type { Context } from "./queue-source.js";
import type { WorkerPart } from "./state.js";

type AskHook = Extract<Effect, { kind: "ask-hook" }>;

export class HookRunner {
  readonly #context: Context;
  readonly #places: Bulkhead;

  constructor(context: Context) {
    this.#context = context;
    this.#places = bulkhead(context.policy().settings.max_concurrent_restarts);
  }

  async ask(effect: AskHook, performing: PerformContext): Promise<Event> {
    const { subject, name, seconds } = effect;
    // Asked again after a start of the daemon, it is not said: no later attempt exists yet, or there would be no question.
    const attempt = effect.attempt || new SpecStore(this.#context.layout).highestAttempt(subject.worker_id) + 1;
    const waiting = this.#context.part<WorkerPart>(`worker:${subject.worker_id}`)?.waiting;
    const question = {
      hook: "before_restart",
      source: "worker-restart",
      subject: subjectOf(subject, attempt, waiting?.incident_id),
      content: { message: `Attempt ${attempt} of ${subject.worker_id} is about to be started` },
      timeoutMs: seconds * 1000,
    } as const;
    this.#places.setConcurrency(this.#context.policy().settings.max_concurrent_restarts);
    const { later, note } = await this.#places.run(() => askHook(this.#context, question, performing));
    const why = later ? note || "hooks/before_restart says later" : "";
    return { kind: "hook-answered", ...subject, name, later, note: why };
  }
}
