// The page that paints: takes a photo, gives its pixels to worker.js, shows what comes back beside the photo.
const here = name => new URL(name, import.meta.url);
const $ = id => document.getElementById(id);
const painter = $('painter'), before = $('before'), after = $('after'), slider = $('slider');
let worker = null, photo = null, name = 'photo', goal = 0;

// What the visitor is told. `state`: empty, busy, done or failed
function say(text, state) {
  $('status').textContent = text;
  if (state) painter.dataset.state = state;
  $('work').hidden = painter.dataset.state !== 'busy';
}

function fail(text) {
  stop();
  say(text, 'failed');
  $('pair').hidden = $('save').hidden = true;
}

// --- Can this browser do it? -------------------------------------------------------------------------

// The smallest program with a vector in it: a function that fills one with zeros.
const VECTORS = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];

function missing() {
  if (typeof WebAssembly !== 'object') return 'WebAssembly';
  if (!WebAssembly.validate(new Uint8Array(VECTORS))) return 'the vector instructions of WebAssembly';
  if (typeof Worker !== 'function') return 'workers';
  if (typeof DecompressionStream !== 'function') return 'decompression';
  return null;
}

// --- From a file to pixels ---------------------------------------------------------------------------

// An <img> turns the photo upright as its EXIF note asks; it fails with a sentence for what is no picture.
async function decode(blob) {
  const picture = new Image(), address = URL.createObjectURL(blob);
  picture.src = address;
  try { await picture.decode(); }
  finally { URL.revokeObjectURL(address); }
  if (!picture.naturalWidth || !picture.naturalHeight) throw new Error('it has no size');
  return picture;
}

// Draws the photo, scaled down to a longer side of at most `side`, on white.
function draw(picture, side) {
  const { naturalWidth: w, naturalHeight: h } = picture, scale = Math.min(1, side / Math.max(w, h));
  for (const canvas of [before, after]) {
    canvas.width = Math.max(1, Math.round(w * scale));
    canvas.height = Math.max(1, Math.round(h * scale));
  }
  $('pair').style.maxWidth = `max(18em, ${before.width}px)`;
  const pen = before.getContext('2d', { willReadFrequently: true });
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, before.width, before.height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(picture, 0, 0, before.width, before.height);
  return pen.getImageData(0, 0, before.width, before.height);
}

async function take(blob, title) {
  stop();
  say('Reading the photo ...', 'busy');
  const mine = photo = {};
  try { mine.picture = await decode(blob); }
  catch { if (photo === mine) fail(`${title || 'This'} is not a picture that this browser can read.`), photo = null; return; }
  if (photo !== mine) return; // another one was chosen meanwhile
  name = (title || 'photo').replace(/\.[^.]*$/, '');
  paint();
}

// --- Painting ----------------------------------------------------------------------------------------

function stop() {
  if (worker) worker.terminate();
  worker = null;
}

function paint() {
  stop();
  let pixels;
  try { pixels = draw(photo.picture, +$('side').value); }
  catch (e) { return fail(reason(e.message)); }
  show(50);
  $('pair').hidden = false;
  $('save').hidden = true;
  $('progress').value = goal = 0;
  say('Loading the painter ...', 'busy');
  worker = new Worker(here('worker.js'), { type: 'module' });
  worker.onmessage = ({ data }) => hear[data.step](data);
  worker.onerror = e => { e.preventDefault(); fail(reason(e.message || 'it could not be started')); };
  worker.postMessage({ pixels: pixels.data.buffer, width: pixels.width, height: pixels.height, threads: threads() }, [pixels.data.buffer]);
}

const threads = () => self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

const hear = {
  loading({ part }) { $('progress').value = goal = part / 4; },
  painting({ next }) { say('Painting ...'); goal = .25 + .75 * next; },
  strip({ pixels, top, part, next }) {
    const rows = new ImageData(new Uint8ClampedArray(pixels), after.width);
    after.getContext('2d').putImageData(rows, 0, top);
    $('progress').value = .25 + .75 * part;
    goal = .25 + .75 * next;
  },
  done({ seconds }) {
    stop();
    painter.dataset.seconds = seconds.toFixed(2);
    $('save').hidden = false;
    say(`Painted ${after.width} x ${after.height} pixels in ${seconds.toFixed(1)} seconds. Move the slider to compare.`, 'done');
  },
  failed({ why }) { fail(reason(why)); },
};

// Between two strips the bar creeps towards the end of the next, so that nobody thinks that it stands still.
setInterval(() => { if (worker) $('progress').value += (goal - $('progress').value) / 40; }, 100);

// What went wrong, in words that help.
function reason(why) {
  if (/memory|alloc|^\d+$/i.test(why)) return 'There was too little memory for this size. Choose a smaller one and try again.';
  if (/fetch|load|network|import/i.test(why)) return 'The painter could not be loaded. Look whether the network is there, and try again.';
  return `The painter stopped: ${why}. A smaller size may help.`;
}

// --- Before and after --------------------------------------------------------------------------------

function show(percent) {
  slider.value = Math.max(0, Math.min(100, percent));
  slider.setAttribute('aria-valuetext', `${Math.round(slider.value)} percent painting`);
  $('pair').style.setProperty('--part', `${slider.value}%`);
}

function follow(e) {
  const box = $('pair').getBoundingClientRect();
  show(100 * (e.clientX - box.left) / box.width);
}

function compare() {
  const pair = $('pair');
  pair.onpointerdown = e => { e.preventDefault(); pair.setPointerCapture(e.pointerId); slider.focus({ preventScroll: true }); follow(e); };
  pair.onpointermove = e => { if (pair.hasPointerCapture(e.pointerId)) follow(e); };
  slider.oninput = () => show(slider.value);
}

// --- The visitor's hands -----------------------------------------------------------------------------

function download() {
  after.toBlob(blob => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${name}_monet.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, 'image/png');
}

function cancel() {
  if (!worker) photo = null; // still reading
  stop();
  say('Stopped.', 'empty');
  $('pair').hidden = true;
}

async function sample(title) {
  try { take(await (await fetch(here(`samples/${title}.jpg`))).blob(), `${title}.jpg`); }
  catch { fail(reason('fetch')); }
}

function given(files) { if (files.length) take(files[0], files[0].name); }

function drops() {
  const form = $('choose');
  document.ondragover = e => { e.preventDefault(); form.classList.add('over'); };
  document.ondragleave = e => { if (!e.relatedTarget) form.classList.remove('over'); };
  document.ondrop = e => { e.preventDefault(); form.classList.remove('over'); given(e.dataTransfer.files); };
  document.onpaste = e => given(e.clipboardData.files);
}

function start() {
  const lack = missing();
  if (lack) { $('choose').hidden = true; return fail(`Painting needs ${lack}, which this browser does not have. A newer one does.`); }
  $('file').onchange = e => { given(e.target.files); e.target.value = ''; };
  for (const button of document.querySelectorAll('[data-sample]')) button.onclick = () => sample(button.dataset.sample);
  $('side').onchange = () => { if (photo && photo.picture) paint(); };
  $('cancel').onclick = cancel;
  $('download').onclick = download;
  compare();
  drops();
}

start();
