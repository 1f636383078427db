/** An action could not be done. @module */

/** Its message is for people. */
export class ActionFailed extends Error {
  override readonly name = "ActionFailed";
  readonly code = "action_failed";
}
