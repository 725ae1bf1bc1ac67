// The worker that paints: loads the painter once, cuts the photo into strips, sends back strip after strip.
import * as ort from './ort.mjs';

const here = name => new URL(name, import.meta.url);
const tell = (step, more = {}, handed = []) => postMessage({ step, ...more }, handed);

async function bytes(name, came) {
  const answer = await fetch(here(name));
  if (!answer.ok) throw new Error(`fetch ${name}: ${answer.status}`);
  const reader = answer.body.getReader(), parts = [];
  for (let part; part = (await reader.read()).value;) { parts.push(part); came(part.length); }
  return new Blob(parts);
}

// Unpacks what begins like a gzip file; a host may have done that already.
async function unpacked(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const stream = blob.stream();
  return new Response(first === 31 && second === 139 ? stream.pipeThrough(new DecompressionStream('gzip')) : stream).arrayBuffer();
}

async function load(facts, threads) {
  let came = 0;
  const count = n => tell('loading', { part: Math.min(1, (came += n) / facts.bytes) });
  const [model, runtime] = await Promise.all([bytes(facts.model, count), bytes(facts.runtime, count)]);
  ort.env.wasm.wasmBinary = await unpacked(runtime);
  ort.env.wasm.numThreads = threads;
  return ort.InferenceSession.create(new Uint8Array(await model.arrayBuffer()), { executionProviders: ['wasm'] });
}

// Bytes 0..255, four a pixel, become numbers -1..1, colour after colour.
function toNumbers(pixels) {
  const n = pixels.length / 4, numbers = new Float32Array(3 * n);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < 3; c++) numbers[c * n + i] = pixels[4 * i + c] / 127.5 - 1;
  return numbers;
}

// And back: cut off, rounded (by the array), opaque. `skip` pixels at the beginning are left out.
function toBytes(numbers, skip, n) {
  const pixels = new Uint8ClampedArray(4 * n).fill(255), all = numbers.length / 3;
  for (let i = 0; i < n; i++)
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = (numbers[c * all + skip + i] + 1) * 127.5;
  return pixels;
}

// Rows that belong to a strip, and rows that it sees: as many more as the painter looks to each side.
function strips(height, { rows, overlap }) {
  const cut = [];
  for (let top = 0; top < height; top += rows) {
    const bottom = Math.min(height, top + rows);
    cut.push({ top, bottom, first: Math.max(0, top - overlap), last: Math.min(height, bottom + overlap) });
  }
  return cut;
}

async function paintStrip(session, pixels, width, { top, bottom, first, last }) {
  const numbers = toNumbers(pixels.subarray(4 * width * first, 4 * width * last));
  const photo = new ort.Tensor('float32', numbers, [1, 3, last - first, width]);
  const { painting } = await session.run({ photo });
  return toBytes(painting.data, width * (top - first), width * (bottom - top));
}

async function paint({ pixels, width, height, threads }) {
  const facts = await (await fetch(here('painter.json'))).json(), session = await load(facts, threads);
  const all = new Uint8ClampedArray(pixels), start = performance.now(), cut = strips(height, facts);
  tell('painting', { next: cut[0].bottom / height });
  for (const [i, strip] of cut.entries()) {
    const painted = await paintStrip(session, all, width, strip);
    const next = (cut[i + 1] || strip).bottom / height;
    tell('strip', { pixels: painted.buffer, top: strip.top, part: strip.bottom / height, next }, [painted.buffer]);
  }
  tell('done', { seconds: (performance.now() - start) / 1000 });
}

onmessage = ({ data }) => paint(data).catch(e => tell('failed', { why: String(e && e.message || e) }));
