/** The policies as the JSON Schemas and the format pages describe them. @module */
import { autoFixPolicy } from "../../daemons/auto-fix/policy.js";
import { failurePatternPolicy } from "../../daemons/failure-pattern/policy.js";
import { heartbeatPolicy } from "../../daemons/heartbeat-monitor/policy.js";
import { restartPolicy } from "../../daemons/worker-restart/policy.js";
import { allowedCommandsShape } from "../../lib/schema/allowed-commands.js";
import { registryShape } from "../../lib/schema/fix-registry.js";
import { healingEditorShape } from "../../lib/schema/healing-policies.js";
import { type FieldSentences, type JsonSchema, jsonSchemaOf } from "../../lib/schema/json-schema.js";
import { DEFAULT_ROUTES, notificationPolicy } from "../../lib/schema/notification-policy.js";
import { policySchema } from "../../lib/schema/policy.js";
import { ALLOWED, HEALING, REGISTRY } from "./fix-policy-sentences.js";
import { AUTO_FIX, FAILURE_PATTERN, HEARTBEAT, NOTIFICATION, RESTART } from "./policy-sentences.js";

interface DescribedPolicy {
  readonly name: string;
  readonly schema: JsonSchema;
}

interface Describable {
  readonly name: string;
  readonly shape: Parameters<typeof policySchema>[0]["shape"];
  /** false: no overrides by worker type. */
  readonly perType?: false;
}

interface PolicyText {
  readonly title: string;
  readonly description: string;
  /** Sentences for keys inside of blocks. */
  readonly inner: FieldSentences;
  readonly defaults: unknown;
}

const OVERRIDES = "Settings for single worker types, by type; what a type does not name, it takes from above.";

function describe(policy: Describable, { title, description, inner, defaults }: PolicyText): DescribedPolicy {
  const again = Object.entries(inner).map(([path, sentence]) => [`overrides.*.${path}`, sentence]);
  const fields = {
    ...inner,
    ...Object.fromEntries(again),
    overrides: OVERRIDES,
    $schema: "Where an editor finds this schema.",
  };
  return { name: policy.name, schema: jsonSchemaOf(policySchema(policy), { title, description, fields, defaults }) };
}

/** All policies, in the order of the daemons. Defaults are those of a file that gives nothing that they derive from. */
export const POLICIES: readonly DescribedPolicy[] = [
  describe(heartbeatPolicy, {
    title: "Heartbeat policy",
    description: "When a worker is late, suspect or dead, and how carefully it is ended.",
    inner: HEARTBEAT,
    defaults: heartbeatPolicy.complete({}),
  }),
  describe(restartPolicy, {
    title: "Worker restart policy",
    description: "Whether a worker may come back, when, how often, and what counts as having come back.",
    inner: RESTART,
    defaults: restartPolicy.complete({}),
  }),
  describe(failurePatternPolicy, {
    title: "Failure pattern policy",
    description: "When repeated failures count as a pattern, and for how long patterns are kept.",
    inner: FAILURE_PATTERN,
    defaults: failurePatternPolicy.complete({}),
  }),
  describe(autoFixPolicy, {
    title: "Auto-fix policy",
    description: "Which fixes may be applied, how often, how far, and who is asked. Without a file all is a dry run.",
    inner: AUTO_FIX,
    // A file that gives anything is not a dry run unless it says so.
    defaults: autoFixPolicy.complete({ enabled: true }),
  }),
  describe(notificationPolicy, {
    title: "Notification policy",
    description:
      "Through which channels people are told, who is told what and when, and who is next if nobody answers.",
    inner: NOTIFICATION,
    defaults: { ...notificationPolicy.complete({}), routes: DEFAULT_ROUTES },
  }),
  describe(
    { name: "auto-fix-registry", shape: registryShape, perType: false },
    {
      title: "Fix registry",
      description: "Which fix is known for which pattern. Without a file the shipped fixes are in force.",
      inner: REGISTRY,
      defaults: {},
    },
  ),
  describe(
    { name: "healing-policies", shape: healingEditorShape, perType: false },
    {
      title: "Healing policies",
      description: "Conditions on metrics, and what is done when they hold. The shipped ones are switched off.",
      inner: HEALING,
      defaults: {},
    },
  ),
  describe(
    { name: "allowed-commands", shape: allowedCommandsShape, perType: false },
    {
      title: "Allowed commands",
      description: "The programs that the action run-command may run. Without a file, none.",
      inner: ALLOWED,
      defaults: {},
    },
  ),
];
