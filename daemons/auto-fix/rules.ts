/** The files that say what may be done: registry, healing policies, allowed commands. Read like policies, and followed. @module */

import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { PolicyFile, type PolicyListener } from "../../lib/runtime/policy-file.js";
import {
  type AllowedCommands,
  type AllowedCommandsFile,
  allowedCommandsDefinition,
} from "../../lib/schema/allowed-commands.js";
import { type RegistryFile, type RegistrySettings, registryDefinition } from "../../lib/schema/fix-registry.js";
import { type HealingFile, type HealingSettings, healingDefinition } from "../../lib/schema/healing-policies.js";
import type { PolicyDefinition } from "../../lib/schema/policy.js";
import { SHIPPED_FIXES, SHIPPED_POLICIES } from "../../lib/schema/shipped-fixes.js";
import type { Event } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";

export type Context = DaemonContext<Event, AutoFixSettings>;

const SCAN_EVERY_SECONDS = 5;

class Rule<Settings, Explicit> {
  readonly #file: PolicyFile<Settings, Explicit>;
  readonly #listener: PolicyListener<Settings>;
  readonly #nothing: Explicit;
  settings: Settings;

  /** @param nothing What a file says that allows nothing. It holds from the start on while there is a file that cannot be read. */
  constructor(
    context: Context,
    definition: PolicyDefinition<Settings, Explicit>,
    nothing: Explicit,
    changed: () => void,
  ) {
    const { layout } = context;
    this.#nothing = nothing;
    this.settings = definition.complete(nothing);
    this.#file = new PolicyFile(definition, layout.configDir, layout.policyTextsDir);
    const policy = definition.name;
    this.#listener = {
      loaded: (inForce) => {
        this.settings = inForce.policy.settings;
        const message = `${policy}.json is in force`;
        if (inForce.isFallback !== true)
          context.reporter.newsOrLog("policy_loaded", { message, data: { policy, policy_hash: inForce.hash } });
        for (const note of inForce.notes) context.log.info({}, `${policy}.json: ${note}`);
        changed();
      },
      refused: (sentence) => {
        const message = sentence.replace(`${layout.coordination}/`, "coordination/");
        context.reporter.newsOrLog("policy_refused", { message, data: { policy, problem: sentence } });
      },
    };
  }

  start(): void {
    this.#file.start(null, this.#listener, this.#nothing);
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
  readonly #registry: Rule<RegistrySettings, RegistryFile>;
  readonly #healing: Rule<HealingSettings, HealingFile>;
  readonly #allowed: Rule<AllowedCommands, AllowedCommandsFile>;

  constructor(context: Context, changed: () => void) {
    this.#registry = new Rule<RegistrySettings, RegistryFile>(
      context,
      registryDefinition(SHIPPED_FIXES),
      { fixes: [] },
      changed,
    );
    this.#healing = new Rule<HealingSettings, HealingFile>(
      context,
      healingDefinition(SHIPPED_POLICIES),
      { policies: [] },
      changed,
    );
    this.#allowed = new Rule<AllowedCommands, AllowedCommandsFile>(
      context,
      allowedCommandsDefinition,
      { commands: [] },
      changed,
    );
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
