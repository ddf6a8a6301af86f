// Runs the decoder over the vectors of display/wire; prints what is wrong.
import { readFileSync } from "node:fs";
import { Decoder, WireError, hash, pixels } from "../static/wire.js";

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
let steps = 0, wrong = 0;
const fail = (...what) => { wrong++; console.error(...what); };
const bytes = (text) => new Uint8Array(Buffer.from(text ?? "", "base64"));

for (const [i, vector] of vectors.entries()) {
  const decoder = new Decoder();
  for (const [k, step] of vector.messages.entries()) {
    steps++;
    const where = `vector ${i} (${vector.name}), message ${k}:`;
    let frame;
    try {
      frame = await decoder.decode(bytes(step.message).buffer);
    } catch (error) {
      if (!(error instanceof WireError)) fail(where, "not a WireError:", error);
      else if (!step.error) fail(where, error.message);
      continue;
    }
    if (step.error) {
      fail(where, "was accepted");
      continue;
    }
    for (const field of ["number", "width", "height", "bits", "scene", "caption"]) {
      if (frame[field] !== (step[field] ?? "")) fail(where, field, frame[field], "for", step[field]);
    }
    if (Buffer.compare(frame.cells, bytes(step.cells)) !== 0) fail(where, "cells differ");
    if (Buffer.compare(frame.palette, bytes(step.palette)) !== 0) fail(where, "palette differs");
    const colours = pixels(frame.palette, new Uint32Array(256));
    const sum = hash(Uint32Array.from(frame.cells, (v) => colours[v]));
    if (sum !== (step.hash ?? 0)) fail(where, "hash", sum, "for", step.hash);
  }
}
console.log(steps);
process.exit(wrong ? 1 : 0);
