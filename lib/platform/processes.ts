/** Processes: who they are, what they do, whom they belong to, and how they are signalled. The door to all of it. @module */

export {
  hasGroupMembers,
  type Identity,
  identityOf,
  isAlive,
  isCorpse,
  isGroupGone,
  isSame,
  type Presence,
  presenceOf,
  type Sameness,
} from "./identity.js";
export { type Look, look } from "./looking.js";
export { type ProcStat, readStat } from "./proc-stat.js";
export { descendantsOf, familyOf, groupMembers, memoryOfTree, type TreeUsage, usageOfTree } from "./process-tree.js";
export {
  ancestors,
  leadsNoGroup,
  type SignalAnswer,
  type SignalOptions,
  type SignalOutcome,
  signalIdentity,
} from "./signals.js";
