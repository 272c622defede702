// Colorize a photo with what Node 18 and later has by itself.
//
//   node colorize.mjs photo.jpg colour.png
//   CHROMASERVE_URL=https://photos.example CHROMASERVE_API_KEY=... node colorize.mjs a.jpg b.png
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const ATTEMPTS = 5;
const PATIENCE_S = 60; // for all pauses together

/** Seconds that a Retry-After header asks for: a number or a date; 0 without one. */
function retryAfter(answer) {
  const header = answer.headers.get("Retry-After");
  if (header === null) return 0;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? 0 : Math.max(0, (date - Date.now()) / 1000);
}

/** The photo in colour, as bytes; throws what the service says is wrong. */
export async function colorize(url, photo, name, options = {}) {
  const key = process.env.CHROMASERVE_API_KEY;
  const query = new URLSearchParams(options);
  let patience = PATIENCE_S;
  for (let attempt = 1; ; attempt++) {
    const form = new FormData();
    form.append("file", new Blob([photo]), name);
    const answer = await fetch(`${url}/colorize?${query}`, {
      method: "POST",
      body: form,
      headers: key ? { Authorization: `Bearer ${key}` } : {},
      signal: AbortSignal.timeout(180_000),
    });
    if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
    // Some chance, so that those who were turned away together do not come back together.
    const wait = retryAfter(answer) + Math.random() * 0.5 * 2 ** attempt;
    patience -= wait;
    if ((answer.status === 503 || answer.status === 429) && attempt < ATTEMPTS && patience >= 0) {
      await answer.body?.cancel();
      await pause(1000 * wait);
      continue;
    }
    const problem = await answer.json().catch(() => ({ title: answer.statusText, detail: "" }));
    throw new Error(`${answer.status} ${problem.title}: ${problem.detail}`);
  }
}

const [input, output] = process.argv.slice(2);
if (!output) {
  console.error("usage: node colorize.mjs PHOTO RESULT.png");
  process.exit(2);
}
const url = process.env.CHROMASERVE_URL ?? "http://localhost:8000";
try {
  const options = { vividness: "0.8" };
  await writeFile(output, await colorize(url, await readFile(input), basename(input), options));
  console.log(output);
} catch (error) {
  console.error(`${input}: ${error.message}`);
  process.exitCode = 1;
}
