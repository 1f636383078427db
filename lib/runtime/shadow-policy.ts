/**
 * `config/shadow/<policy>.json`: loaded and reloaded like the policy in force, run beside it as a {@link Shadow}.
 *
 * @module
 */
import { basename } from "node:path";
import type { Log } from "../platform/log.js";
import type { EventType } from "../schema/catalogue.js";
import type { Stamp } from "../schema/events.js";
import { type Policy, type PolicyDefinition, SHADOW_POLICIES } from "../schema/policy.js";
import { namesIn } from "../store/entries.js";
import type { Layout } from "../store/layout.js";
import type { Answer, Core, Stamped } from "./core.js";
import type { DecisionEffect, LoopClock } from "./loop.js";
import { PolicyFile, type PolicyInForce, type PolicyListener } from "./policy-file.js";
import { Shadow, type ShadowFigures } from "./shadow.js";

/** The live side, as far as a shadow may see it. */
export interface LiveSide<Slice extends object, Event, Effect> {
  sliceFor(event: Event): Slice;
  keys(): Iterable<string>;
  ask(effect: Effect): Answer<Event>;
  beforeWake(key: string): void;
}

export interface ShadowPolicyOptions<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
  Explicit,
> {
  readonly core: Core<Slice, Event, Effect, Policy<Settings>>;
  readonly definition: PolicyDefinition<Settings, Explicit>;
  readonly layout: Layout;
  readonly log: Log;
  readonly clock: LoopClock;
  newId(atMs: number): string;
  readonly live: LiveSide<Slice, Event, Effect>;
  news(type: EventType, message: string, data: Readonly<Record<string, unknown>>): void;
  decide(decision: DecisionEffect, stamp: Stamp): void;
}

export class ShadowPolicy<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Settings,
  Explicit,
> {
  readonly #options: ShadowPolicyOptions<Slice, Event, Effect, Settings, Explicit>;
  readonly #file: PolicyFile<Settings, Explicit>;
  readonly #name: string;
  #shadow: Shadow<Slice, Event, Effect, Policy<Settings>> | null = null;
  #hash = "";
  #writeFailed = false;
  #strangers = "";

  constructor(options: ShadowPolicyOptions<Slice, Event, Effect, Settings, Explicit>) {
    this.#options = options;
    const { layout, definition } = options;
    this.#file = new PolicyFile(definition, layout.shadowDir, layout.policyTextsDir, "nothing");
    this.#name = `config/shadow/${definition.name}.json`;
  }

  /** Begins, and follows the file from now on. The live loop has taken up its work by then. */
  start(): void {
    this.#file.start(null, this.#listener);
    this.#file.follow(this.#listener);
    this.#refuseStrangers();
  }

  look(): void {
    this.#file.look(this.#listener);
    this.#refuseStrangers();
  }

  close(): void {
    this.#file.close();
    this.#shadow?.close();
  }

  heard(live: Slice, event: Stamped<Event>, besideLive: boolean): void {
    this.#shadow?.heard(live, event, besideLive);
  }

  /** For the daemon's figures; null while no shadow runs. */
  figures(): (ShadowFigures & { readonly policy_hash: string }) | null {
    if (this.#shadow === null) return null;
    const { events, decisions, busy_ms } = this.#shadow.figures;
    return { policy_hash: this.#hash, events, decisions, busy_ms: Math.round(busy_ms) };
  }

  readonly #listener: PolicyListener<Settings> = {
    loaded: (inForce) => this.#begin(inForce),
    refused: (sentence) => {
      const message = sentence.replace(`${this.#options.layout.coordination}/`, "coordination/");
      this.#options.news("policy_refused", message, { policy: this.#name, problem: sentence });
    },
    gone: () => {
      if (this.#shadow === null) return;
      this.#shadow.close();
      this.#shadow = null;
      this.#options.news("shadow_ended", `${this.#name} is gone and is not run any more`, { policy: this.#name });
    },
  };

  #begin(inForce: PolicyInForce<Settings>): void {
    const { core, clock, newId, live, decide, log } = this.#options;
    if (core.shadowing === undefined) return;
    this.#shadow?.close();
    this.#hash = inForce.hash;
    const shadow = new Shadow<Slice, Event, Effect, Policy<Settings>>({
      core,
      shadowing: core.shadowing,
      policy: inForce.policy,
      policyHash: inForce.hash,
      clock,
      newId,
      ...live,
      write: (decision, stamp) => {
        try {
          decide(decision, stamp);
          this.#writeFailed = false;
        } catch (error) {
          // What a shadow would have done is not worth waiting for a disk.
          if (!this.#writeFailed) log.warn({ cause: String(error) }, "a shadow decision could not be written");
          this.#writeFailed = true;
        }
      },
      failed: (error) => this.#fail(error),
    });
    this.#shadow = shadow;
    for (const note of inForce.notes) log.info({}, `${this.#name}: ${note}`);
    this.#options.news("policy_loaded", `${this.#name} runs as a shadow`, {
      policy: this.#name,
      policy_hash: inForce.hash,
    });
    shadow.greet(live.keys());
  }

  /** The shadow's trouble is its own: it stands still until its file changes. */
  #fail(error: unknown): void {
    this.#shadow = null;
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.news("policy_refused", `${this.#name} is not run any more: it failed: ${String(error)}`, {
      policy: this.#name,
      problem: why.slice(0, 2000),
    });
  }

  /** A file that no daemon would ever run is said once, by one daemon. */
  #refuseStrangers(): void {
    const { core, layout, news } = this.#options;
    if (core.name !== "heartbeat-monitor") return;
    const strangers = namesIn(layout.shadowDir).filter(
      (name) => !name.startsWith(".") && !SHADOW_POLICIES.includes(basename(name, ".json")),
    );
    const seen = strangers.join("/");
    if (seen === this.#strangers) return;
    this.#strangers = seen;
    for (const name of strangers) {
      const policy = `config/shadow/${name}`;
      const problem = `Cannot run "coordination/${policy}": only ${SHADOW_POLICIES.map((each) => `${each}.json`).join(", ")} run as shadows`;
      news("policy_refused", problem, { policy, problem });
    }
  }
}
