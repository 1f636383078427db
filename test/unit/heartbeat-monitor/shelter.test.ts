/** Guarantee: bad weather does not end the monitor, anything else does, and what it cannot write just now it says later. */
import { expect, test } from "vitest";
import { Shelter } from "../../../daemons/heartbeat-monitor/shelter.js";

const answering = (code: string, syscall?: string) => () => {
  throw Object.assign(new Error(code), { code, syscall });
};

function openShelter(news: () => void = () => undefined) {
  const log = { info: () => undefined, warn: () => undefined };
  return new Shelter({ log, reporter: { news } } as unknown as ConstructorParameters<typeof Shelter>[0]);
}

test("bad weather is lived through, and what a start anew may mend is not", () => {
  const shelter = openShelter();
  for (const code of ["EMFILE", "ENOSPC", "EIO"])
    expect(shelter.runPiece("reading", answering(code, "open"))).toBe(false);
  // A folder of its own that somebody has removed: a start makes it again, and going on would lose decisions.
  for (const code of ["ENOENT", "ERR_INVALID_ARG_TYPE"])
    expect(() => shelter.run("reading", answering(code, "open"))).toThrow(code);
});

test("a bad file is reported once for each of its versions, and again where that could not be written", () => {
  let isFull = true;
  let reports = 0;
  const shelter = openShelter(() => {
    if (isFull) answering("ENOSPC", "write")();
    reports += 1;
  });
  const refuse = (mtimeMs: number): void => shelter.refuse("a.json", { mtimeMs, ino: 1 }, "not_json", "it is no JSON");
  refuse(1);
  isFull = false;
  for (const mtimeMs of [1, 1, 2, 2]) refuse(mtimeMs);
  expect(reports).toBe(2);
});
