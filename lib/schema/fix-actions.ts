/**
 * What a fix can do: each action's parameters, on which targets it is possible, what it touches, and whether it can be
 * undone. One list for loading, deciding, acting and the pages.
 *
 * @module
 */
import { z } from "zod";
import { idSchema, positiveSeconds } from "./primitives.js";
import { nearestName, type Problem } from "./problems.js";

export const TARGETS = ["process", "systemd", "pm2", "kubernetes"] as const;
export type TargetKind = (typeof TARGETS)[number];

const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);
/** A name that is used as a key: of a metric, of a block. Never one that a JavaScript object has by birth. */
export const keySchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, {
    error: "must be a name of letters, digits, dots, dashes and underscores",
  })
  .refine((name) => !FORBIDDEN.has(name), { error: "must not be a name that every object has" });

/** The parts of a template that a fix may change. What is started, as whom and how is the operator's alone. */
const FIELD =
  /^(?:resources|timeouts|retry|processing|rate_limits|heartbeat)\.[a-z][a-z0-9_]{0,63}$|^max_runtime_seconds$/;
export const fieldSchema = z
  .string()
  .regex(FIELD, { error: "must be a field that a fix may change, such as resources.memory_limit_mb" });

const scalar = z.union([z.string().max(256), z.number(), z.boolean()]);

/** A path below the home, in which `{worker_id}` stands for the worker. */
const pathBelowHome = z
  .string()
  .min(1)
  .max(512)
  .refine((path) => !path.startsWith("/") && !path.split("/").some((part) => part === ".." || part === "."), {
    error: "must be a path below the home, without . and ..",
  })
  .refine((path) => path.includes("{worker_id}"), {
    error: "must name {worker_id}, so that only its own state is moved",
  });

const shared = { timeout_seconds: positiveSeconds.optional() };

const actions = [
  z.strictObject({
    type: z.literal("modify-worker-spec"),
    changes: z
      .array(
        z.strictObject({
          field: fieldSchema,
          /** Tried in their order where the first has no value. */
          or_fields: z.array(fieldSchema).max(4).optional(),
          operation: z.enum(["set", "add", "multiply"]),
          value: scalar,
          max_value: z.number().optional(),
          min_value: z.number().optional(),
          /** What counts where nothing is written. */
          default_value: scalar.optional(),
        }),
      )
      .min(1)
      .max(8),
    apply_to_running: z.enum(["no", "rolling"]).optional(),
    ...shared,
  }),
  z.strictObject({ type: z.literal("restart-worker"), ...shared }),
  z.strictObject({ type: z.literal("restart-service"), ...shared }),
  z.strictObject({ type: z.literal("scale-up"), max_workers: z.number().int().min(1).max(1000).optional(), ...shared }),
  z.strictObject({ type: z.literal("scale-down"), min_workers: z.number().int().min(0).optional(), ...shared }),
  z.strictObject({
    type: z.literal("enable-circuit-breaker"),
    state: z.enum(["open", "half-open"]).optional(),
    open_seconds: positiveSeconds.optional(),
    ...shared,
  }),
  z.strictObject({ type: z.literal("fallback-mode"), ...shared }),
  z.strictObject({ type: z.literal("rollback-deployment"), ...shared }),
  z.strictObject({
    type: z.literal("clean-state"),
    paths: z.array(pathBelowHome).min(1).max(8),
    restart: z.boolean().optional(),
    ...shared,
  }),
  z.strictObject({
    type: z.literal("quarantine"),
    hold_seconds: positiveSeconds.max(7 * 86_400).optional(),
    ...shared,
  }),
  z.strictObject({
    type: z.literal("run-command"),
    command: idSchema,
    args: z.array(z.string().max(4096)).max(64).optional(),
    ...shared,
  }),
  z.strictObject({
    type: z.literal("free-disk"),
    keep_attempts: z.number().int().min(1).optional(),
    archive_days: z.number().min(1).optional(),
    ...shared,
  }),
  z.strictObject({ type: z.literal("ask-person"), request: z.string().min(1).max(1000), ...shared }),
  z.strictObject({ type: z.literal("alert-oncall"), note: z.string().max(500).optional(), ...shared }),
] as const;

/** Names an unknown action, instead of listing every action there is. */
function whyNoAction(issue: { readonly input?: unknown }): string {
  const { input } = issue;
  if (typeof input !== "object" || input === null) return 'must be an action such as { "type": "restart-worker" }';
  const { type } = input as { readonly type?: unknown };
  if (typeof type !== "string") return "must be a known action";
  const near = nearestName(type, ACTION_TYPES);
  return `must be a known action, which "${type.slice(0, 60)}" is not${near === null ? "" : ` (did you mean ${near}?)`}`;
}

export const actionSchema = z.discriminatedUnion("type", actions, { error: whyNoAction });
export type FixAction = z.infer<typeof actionSchema>;
export type ActionType = FixAction["type"];
export type ActionOf<Type extends ActionType> = Extract<FixAction, { type: Type }>;

export type Touches = "nobody" | "worker" | "waiting" | "type" | "host";

export interface ActionEntry {
  readonly sentence: string;
  readonly targets: readonly TargetKind[];
  readonly undo: string;
  readonly canUndo: boolean;
  /** Whom it touches at once; the blast radius counts these. */
  readonly touches: Touches;
  readonly timeoutSeconds: number;
  readonly safety: number;
}

export const NO_UNDO = "cannot be undone";

const entry = (
  sentence: string,
  targets: readonly TargetKind[],
  undo: string | null,
  touches: Touches,
  timeoutSeconds: number,
  safety: number,
): ActionEntry => ({
  sentence,
  targets,
  undo: undo ?? NO_UNDO,
  canUndo: undo !== null,
  touches,
  timeoutSeconds,
  safety,
});

const EVERYWHERE = ["process", "systemd", "pm2"] as const;

export const ACTIONS: Readonly<Record<ActionType, ActionEntry>> = {
  "modify-worker-spec": entry(
    "Changes values in the template of the worker type; the next attempts have them.",
    ["process"],
    "each value goes back, where it is still the one that was written",
    "waiting",
    10,
    0.9,
  ),
  "restart-worker": entry("Asks for a restart of the worker.", ["process"], null, "worker", 10, 0.9),
  "restart-service": entry(
    "Restarts the service: all workers of the type, one after another, or the unit by its own tool.",
    EVERYWHERE,
    null,
    "type",
    90,
    0.9,
  ),
  "scale-up": entry("Starts one more worker of the type.", ["process"], "the worker is stopped", "nobody", 10, 0.9),
  "scale-down": entry(
    "Stops one worker that scale-up has started.",
    ["process"],
    "the worker is wanted again",
    "worker",
    10,
    0.9,
  ),
  "enable-circuit-breaker": entry(
    "Sets the circuit breaker of the type: open, or half-open to let one restart through.",
    ["process"],
    "the breaker goes back, where it is still as it was set",
    "waiting",
    10,
    0.9,
  ),
  "fallback-mode": entry(
    "Sets the flag file that HEALD_FALLBACK_FILE names to the component's workers.",
    EVERYWHERE,
    "the file is removed",
    "type",
    10,
    0.9,
  ),
  "rollback-deployment": entry("Goes back to the release before.", ["kubernetes"], null, "type", 300, 0.6),
  "clean-state": entry(
    "Moves the worker's state aside, deletes nothing, and asks for its restart.",
    ["process"],
    "the state is moved back, where nothing new stands in its place",
    "worker",
    30,
    0.82,
  ),
  quarantine: entry(
    "Holds the task that kills its workers, and calls a person.",
    ["process"],
    "the hold is removed",
    "waiting",
    10,
    0.9,
  ),
  "run-command": entry(
    "Runs a program from allowed-commands.json, without a shell.",
    EVERYWHERE,
    null,
    "type",
    60,
    0.6,
  ),
  "free-disk": entry(
    "Removes logs of old attempts and expired archives, compresses rotated logs, and rotates auto-fix's own.",
    EVERYWHERE,
    null,
    "host",
    120,
    0.85,
  ),
  "ask-person": entry("Writes down what a person should do, and waits.", EVERYWHERE, null, "nobody", 10, 0.65),
  "alert-oncall": entry("Calls a person.", TARGETS, null, "nobody", 10, 1),
};

/** What becomes of each action when a person wants the fix taken back, in the order of the actions. */
export const undoWords = (actions: readonly FixAction[]): string[] =>
  actions.map(({ type }) => `${type}: ${ACTIONS[type].undo}`);

export const ACTION_TYPES = Object.keys(ACTIONS) as readonly ActionType[];

/** Actions that need no parameters. */
export const BARE_ACTIONS = ACTION_TYPES.filter((type) => actionSchema.safeParse({ type }).success);

/** Restarts take metrics out of their usual course; after them a policy waits for longer. */
export const RESTARTING: ReadonlySet<ActionType> = new Set<ActionType>(["restart-worker", "restart-service"]);

/** Actions that wait for something outside, and so may be told for how long. */
const WAITING: ReadonlySet<ActionType> = new Set<ActionType>(["restart-service", "run-command", "free-disk"]);

/** A time that would be kept by nothing is refused. */
export function timeoutProblems(actions: readonly FixAction[], field: string): Problem[] {
  return actions.flatMap(({ type, timeout_seconds }, index) =>
    timeout_seconds === undefined || WAITING.has(type)
      ? []
      : [
          {
            field: `${field}actions.${index}.timeout_seconds`,
            message: `must be given only for ${[...WAITING].join(", ")}: "${type}" waits for nothing, got ${timeout_seconds}`,
          },
        ],
  );
}

/** What is wrong with actions on a target; refused when they are loaded, not when they would fire. */
export function targetProblems(actions: readonly FixAction[], target: TargetKind, field: string): Problem[] {
  if (target === "kubernetes")
    return [{ field: `${field}target`, message: 'must be process, systemd or pm2: "kubernetes" is not supported' }];
  return actions.flatMap((action, index) => {
    const { targets } = ACTIONS[action.type];
    if (targets.includes(target)) return [];
    const can = targets.filter((each) => each !== "kubernetes");
    const where = can.length === 0 ? "on no supported target" : `only on ${can.join(", ")}`;
    return [{ field: `${field}actions.${index}`, message: `"${action.type}" is possible ${where}, not on ${target}` }];
  });
}

/** The words of other registries for actions, and what stands for them here. */
export const OTHER_ACTION_NAMES: Readonly<Record<string, ActionType | null>> = {
  modify_worker_spec: "modify-worker-spec",
  cleanup_worker_state: "clean-state",
  trigger_worker_restart: "restart-worker",
  reset_circuit_breaker: "enable-circuit-breaker",
  emit_event: null,
  run_tests: null,
  validate_config: null,
  audit_access_logs: null,
  notify_security_team: "alert-oncall",
  update_documentation: null,
  update_license_manifest: null,
  update_dependency: "ask-person",
  rotate_secret: "ask-person",
  replace_package: "ask-person",
  update_config: "ask-person",
  update_license: "ask-person",
};
