/** The files that say what may be done: registry, healing policies, allowed commands. Read like policies, and followed. @module */

import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { PolicyFile, type PolicyListener } from "../../lib/runtime/policy-file.js";
import { type AllowedCommands, allowedCommandsDefinition } from "../../lib/schema/allowed-commands.js";
import { type RegistrySettings, registryDefinition } from "../../lib/schema/fix-registry.js";
import { type HealingSettings, healingDefinition } from "../../lib/schema/healing-policies.js";
import type { PolicyDefinition } from "../../lib/schema/policy.js";
import { SHIPPED_FIXES, SHIPPED_POLICIES } from "../../lib/schema/shipped-fixes.js";
import type { Event } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";

export type Context = DaemonContext<Event, AutoFixSettings>;

const SCAN_EVERY_SECONDS = 5;

class Rule<Settings, Explicit> {
  readonly #file: PolicyFile<Settings, Explicit>;
  readonly #listener: PolicyListener<Settings>;
  settings: Settings;

  constructor(context: Context, definition: PolicyDefinition<Settings, Explicit>, changed: () => void) {
    const { layout } = context;
    this.settings = definition.complete({} as Explicit);
    this.#file = new PolicyFile(definition, layout.configDir, layout.policyTextsDir);
    const policy = definition.name;
    this.#listener = {
      loaded: (inForce) => {
        this.settings = inForce.policy.settings;
        const message = `${policy}.json is in force`;
        context.reporter.news("policy_loaded", { message, data: { policy, policy_hash: inForce.hash } });
        changed();
      },
      refused: (sentence) => {
        const message = sentence.replace(`${layout.coordination}/`, "coordination/");
        context.reporter.news("policy_refused", { message, data: { policy, problem: sentence } });
      },
    };
  }

  start(): void {
    this.#file.start(null, this.#listener);
    this.#file.follow(this.#listener);
  }

  look(): void {
    this.#file.look(this.#listener);
  }

  close(): void {
    this.#file.close();
  }
}

export class Rules implements Source {
  readonly name = "rules";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #registry: Rule<RegistrySettings, never>;
  readonly #healing: Rule<HealingSettings, never>;
  readonly #allowed: Rule<AllowedCommands, never>;

  constructor(context: Context, changed: () => void) {
    this.#registry = new Rule(
      context,
      registryDefinition(SHIPPED_FIXES) as PolicyDefinition<RegistrySettings, never>,
      changed,
    );
    this.#healing = new Rule(
      context,
      healingDefinition(SHIPPED_POLICIES) as PolicyDefinition<HealingSettings, never>,
      changed,
    );
    this.#allowed = new Rule(context, allowedCommandsDefinition as PolicyDefinition<AllowedCommands, never>, changed);
  }

  get fixes(): RegistrySettings["fixes"] {
    return this.#registry.settings.fixes;
  }

  get policies(): HealingSettings["policies"] {
    return this.#healing.settings.policies;
  }

  readonly allowed = (): AllowedCommands => this.#allowed.settings;

  start(): void {
    for (const rule of [this.#registry, this.#healing, this.#allowed]) rule.start();
  }

  scan(): void {
    for (const rule of [this.#registry, this.#healing, this.#allowed]) rule.look();
  }

  stop(): void {
    for (const rule of [this.#registry, this.#healing, this.#allowed]) rule.close();
  }
}
