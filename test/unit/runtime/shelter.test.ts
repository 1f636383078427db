/** Guarantee: bad weather for one thing is said once, keeps nothing else from being done, and hides no broken invariant. */
import { expect, test } from "vitest";
import { Shelter } from "../../../lib/runtime/shelter.js";

const failing = (code: string) => () => {
  throw Object.assign(new Error(code), { code });
};

function openShelter(codeOf?: (error: unknown) => string | null) {
  const said: string[] = [];
  const say = (_facts: object, sentence: string): void => void said.push(sentence);
  return { said, shelter: new Shelter({ warn: say, info: say }, codeOf) };
}

test("each code of each thing is said once, and once that it works again", () => {
  const { said, shelter } = openShelter();
  const done = ["EMFILE", "EMFILE", "EACCES"].map((code) => shelter.run("reading a", failing(code)));
  expect(done).toEqual([false, false, false]);
  expect(shelter.run("reading b", () => undefined)).toBe(true);
  expect(shelter.run("reading c", failing("EACCES"))).toBe(false);
  for (let turn = 0; turn < 2; turn++) expect(shelter.run("reading a", () => undefined)).toBe(true);
  expect(said).toEqual([
    "reading a does not work just now (EMFILE); it is tried again",
    "reading a does not work just now (EACCES); it is tried again",
    "reading c does not work just now (EACCES); it is tried again",
    "reading a works again",
  ]);
});

test("of what goes piece by piece, that it works again is said at its end", () => {
  const { said, shelter } = openShelter();
  for (let round = 0; round < 3; round++) {
    expect(shelter.runPiece("reading all", () => undefined)).toBe(true);
    expect(shelter.runPiece("reading all", failing("EIO"))).toBe(false);
  }
  expect(said).toHaveLength(1);
  for (let round = 0; round < 2; round++) shelter.worked("reading all");
  expect(said.slice(1)).toEqual(["reading all works again"]);
});

test("what is not there any more is forgotten, and said again when it comes back", () => {
  const { said, shelter } = openShelter();
  for (const what of ["reading a", "reading b"]) shelter.run(what, failing("EIO"));
  shelter.forget((what) => what.endsWith("a"));
  for (const what of ["reading a", "reading b"]) shelter.run(what, failing("EIO"));
  expect(said.map((sentence) => sentence.slice(0, 9))).toEqual(["reading a", "reading b", "reading a"]);
});

test("what is no weather is thrown on, and its owner says what is", () => {
  expect(() => openShelter().shelter.run("reading a", failing("ENOENT"))).toThrow("ENOENT");
  const { shelter } = openShelter((error) => (error as { code: string }).code);
  expect(shelter.run("reading a", failing("ENOENT"))).toBe(false);
});
