// The cut-out page: reads pictures through the server, cuts the preview here with
// the server's arithmetic (cut.js), and fetches the results.
import { cut } from './cut.js';
import { zip } from './zip.js';

/**
 * @typedef {object} Preview
 * @property {Uint8ClampedArray} pixels RGBA, as the server decoded them
 * @property {number} width
 * @property {number} height
 */

/**
 * @typedef {object} Picture
 * @property {File} file
 * @property {string} name
 * @property {string} trouble why it cannot be cut; "" if it can
 * @property {string} estimated colour, from the border
 * @property {number} suits tolerance, from the border
 * @property {number} share of the border that has about that colour
 * @property {string} original its size
 * @property {string | null} color chosen; null: the estimated one
 * @property {number | null} tolerance chosen; null: the one that suits
 * @property {Preview | null} preview
 * @property {Promise<void> | null} reading
 * @property {HTMLLIElement} row
 */

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function get(id, kind) {
  const e = document.getElementById(id);
  if (!(e instanceof kind)) throw new Error('no #' + id);
  return e;
}

const form = get('cutout', HTMLFormElement);
const drop = get('drop', HTMLDivElement);
const stage = get('stage', HTMLElement);
const canvas = get('canvas', HTMLCanvasElement);
const glass = get('glass', HTMLDivElement);
const aim = get('aim', HTMLSpanElement);
const busy = get('busy', HTMLParagraphElement);
const list = get('pictures', HTMLUListElement);
const color = get('color', HTMLInputElement);
const swatch = get('swatch', HTMLInputElement);
const slide = get('slide', HTMLInputElement);
const tolerance = get('tolerance', HTMLInputElement);
const feather = get('feather', HTMLInputElement);
const featherOut = get('feather-out', HTMLOutputElement);
const border = get('border', HTMLInputElement);
const trim = get('trim', HTMLInputElement);
const trouble = get('trouble', HTMLDivElement);
const troubleText = get('trouble-text', HTMLParagraphElement);
const facts = get('facts', HTMLParagraphElement);
const say = get('say', HTMLParagraphElement);
const download = get('download', HTMLButtonElement);
const downloadAll = get('download-all', HTMLButtonElement);
const same = get('same', HTMLButtonElement);
const progress = get('progress', HTMLDivElement);
const bar = get('bar', HTMLProgressElement);
const progressText = get('progress-text', HTMLParagraphElement);
const showResult = get('show-result', HTMLButtonElement);
const showOriginal = get('show-original', HTMLButtonElement);

const maxBytes = Number(form.dataset.maxBytes);
/** @type {Picture[]} */
let pictures = [];
/** @type {Picture | null} */
let current = null;
let original = false; // shown instead of the result
/** The part of the preview that the canvas shows. @type {[number, number]} */
let corner = [0, 0];
let working = false;

form.classList.add('scripted', 'fresh');

/* --- taking pictures in --- */

/** @param {Iterable<File>} files */
function take(files) {
  let first = null;
  for (const file of files) {
    /** @type {Picture} */
    const p = {
      file, name: file.name || 'picture', trouble: '', estimated: '#ffffff', suits: 0, share: 1, original: '',
      color: null, tolerance: null, preview: null, reading: null, row: document.createElement('li'),
    };
    if (file.size > maxBytes) p.trouble = `The file has ${mega(file.size)} MB, more than the ${mega(maxBytes)} MB that may be sent. Make it smaller.`;
    else if (file.size === 0) p.trouble = 'The file is empty.';
    pictures.push(p);
    addRow(p);
    first ??= p;
  }
  if (!first) return;
  form.classList.remove('fresh');
  stage.hidden = false;
  arrange();
  select(first);
  readAll();
}

/** @param {number} bytes */
const mega = bytes => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

let readingAll = false;

/** Reads every picture once, one after the other, for its little picture and colour. */
async function readAll() {
  if (readingAll) return;
  readingAll = true;
  for (let p; (p = pictures.find(p => !p.original && !p.trouble)); ) await read(p);
  readingAll = false;
}

/** @param {Picture} p */
function read(p) {
  if (p.preview || p.trouble) return Promise.resolve();
  p.reading ??= fetchPreview(p).finally(() => { p.reading = null; });
  return p.reading;
}

/** How many previews are held, a few MB each. */
const HELD = 6;

/** @param {Picture} p */
async function fetchPreview(p) {
  try {
    const answer = await post('/cutout/preview', p.file);
    const bytes = new Uint8ClampedArray(await answer.arrayBuffer());
    const [width, height] = (answer.headers.get('Cutout-Size') ?? '').split('x').map(Number);
    if (bytes.length !== 4 * width * height || !width) throw new Error('The answer was cut short. Try again.');
    p.preview = { pixels: bytes, width, height };
    p.original = (answer.headers.get('Cutout-Original') ?? '').replace('x', ' × ');
    const estimated = answer.headers.get('Cutout-Background');
    if (estimated) {
      p.estimated = estimated;
      p.suits = Number(answer.headers.get('Cutout-Tolerance'));
      p.share = Number(answer.headers.get('Cutout-Share'));
    } else {
      p.share = 0;
    }
    drawThumb(p);
    const held = pictures.filter(q => q.preview && q !== p && q !== current);
    for (const q of held.slice(0, Math.max(0, held.length - HELD))) q.preview = null;
  } catch (err) {
    p.trouble = err instanceof Error ? err.message : String(err);
  }
  describe(p);
  if (p === current) show();
}

/**
 * Posts a picture; waits and tries again where the server is busy. Its refusal
 * becomes an Error in its words.
 * @param {string} address
 * @param {File} file
 */
async function post(address, file) {
  for (let attempt = 0; ; attempt++) {
    /** @type {Response} */
    let answer;
    try {
      answer = await fetch(address, { method: 'POST', body: file, headers: { 'Content-Type': file.type.startsWith('image/') ? file.type : 'application/octet-stream', Accept: 'application/json' } });
    } catch {
      throw new Error('The machine cannot be reached. Check the connection and try again.');
    }
    if (answer.ok) return answer;
    if ((answer.status === 429 || answer.status === 503) && attempt < 8) {
      await new Promise(done => setTimeout(done, 1000 * Math.min(30, Number(answer.headers.get('Retry-After')) || 2)));
      continue;
    }
    const said = await answer.json().catch(() => null);
    if (said?.error) throw new Error(said.error + '.' + (said.remedy ? ' ' + said.remedy[0].toUpperCase() + said.remedy.slice(1) + '.' : ''));
    throw new Error(`The machine answered ${answer.status}. Try again in a moment.`);
  }
}

/* --- the list --- */

/** @param {Picture} p */
function addRow(p) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'picture';
  const thumb = document.createElement('canvas');
  thumb.width = thumb.height = 1;
  thumb.setAttribute('aria-hidden', 'true');
  const name = document.createElement('span');
  name.className = 'name';
  name.textContent = p.name;
  const state = document.createElement('span');
  state.className = 'state';
  button.append(thumb, name, state);
  button.addEventListener('click', () => select(p));
  const remove = document.createElement('button');
  remove.type = 'button';
  remove.className = 'remove';
  remove.title = 'Remove';
  remove.setAttribute('aria-label', 'Remove ' + p.name);
  remove.textContent = '×';
  remove.addEventListener('click', () => {
    const at = pictures.indexOf(p);
    pictures = pictures.filter(q => q !== p);
    p.row.remove();
    if (p === current) select(pictures[Math.min(at, pictures.length - 1)] ?? null);
    arrange();
    (current?.row.querySelector('button') ?? get('files', HTMLInputElement)).focus();
  });
  p.row.append(button, remove);
  list.append(p.row);
  describe(p);
}

/** @param {Picture} p @param {string} [now] */
function describe(p, now) {
  const state = p.row.querySelector('.state');
  if (state) state.textContent = now ?? (p.trouble ? 'cannot be cut' : p.original || 'reading …');
  p.row.classList.toggle('failed', p.trouble !== '');
}

/** @param {Picture} p */
function drawThumb(p) {
  const thumb = p.row.querySelector('canvas');
  if (!thumb || !p.preview) return;
  const full = document.createElement('canvas');
  const { pixels, width, height } = p.preview;
  full.width = width;
  full.height = height;
  full.getContext('2d')?.putImageData(new ImageData(pixels, width, height), 0, 0);
  const k = Math.min(1, 240 / Math.max(width, height));
  thumb.width = Math.max(1, Math.round(width * k));
  thumb.height = Math.max(1, Math.round(height * k));
  thumb.getContext('2d')?.drawImage(full, 0, 0, thumb.width, thumb.height);
}

function arrange() {
  list.hidden = pictures.length < 2;
  downloadAll.hidden = same.hidden = pictures.length < 2;
  const text = downloadAll.querySelector('span');
  if (text) text.textContent = `Download all ${pictures.length} (zip)`;
  if (pictures.length === 0) {
    form.classList.add('fresh');
    stage.hidden = true;
  }
}

/** @param {Picture | null} p */
function select(p) {
  current = p;
  for (const q of pictures) q.row.querySelector('.picture')?.setAttribute('aria-current', String(q === p));
  if (p) {
    p.row.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    show();
    read(p);
  }
}

/* --- the preview --- */

const chosenColor = (/** @type {Picture} */ p) => p.color ?? p.estimated;
const chosenTolerance = (/** @type {Picture} */ p) => p.tolerance ?? p.suits;

/** @param {string} c @returns {[number, number, number]} */
const channels = c => [parseInt(c.slice(1, 3), 16), parseInt(c.slice(3, 5), 16), parseInt(c.slice(5, 7), 16)];

function options(/** @type {Picture} */ p) {
  return { color: channels(chosenColor(p)), tolerance: chosenTolerance(p), border: border.checked, feather: Number(feather.value) };
}

/** Shows the current picture's values in the controls, and the picture. */
function show() {
  const p = current;
  if (!p) return;
  const ready = p.preview !== null;
  busy.hidden = ready || p.trouble !== '';
  trouble.hidden = p.trouble === '';
  troubleText.textContent = p.trouble;
  glass.hidden = p.trouble !== '';
  download.disabled = p.trouble !== '' || working;
  if (p.trouble) facts.textContent = '';
  if (document.activeElement !== color) color.value = p.color ?? '';
  color.placeholder = ready ? p.estimated : 'from the border';
  swatch.value = chosenColor(p);
  slide.value = String(Math.min(100, chosenTolerance(p)));
  if (document.activeElement !== tolerance) tolerance.value = p.tolerance === null ? '' : String(p.tolerance);
  tolerance.placeholder = ready ? String(p.suits) : 'auto';
  featherOut.value = feather.value === '0' ? '' : feather.value + ' px';
  draw();
}

let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paint(); });
}

function paint() {
  const p = current, view = p?.preview;
  if (!p || !view) {
    canvas.width = canvas.height = 1;
    return;
  }
  const { pixels, width, height } = view;
  let shown = pixels, w = width, h = height, empty = false;
  corner = [0, 0];
  if (!original) {
    const result = cut(pixels, width, height, options(p));
    shown = result.pixels;
    const [x0, y0, x1, y1] = result.bounds;
    empty = x1 === 0;
    if (trim.checked && !empty) {
      [w, h, corner] = [x1 - x0, y1 - y0, [x0, y0]];
      shown = new Uint8ClampedArray(4 * w * h);
      for (let y = 0; y < h; y++) shown.set(result.pixels.subarray(4 * ((y0 + y) * width + x0), 4 * ((y0 + y) * width + x1)), 4 * w * y);
    }
  }
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  canvas.getContext('2d')?.putImageData(new ImageData(shown, w, h), 0, 0);
  canvas.setAttribute('aria-label', (original ? 'Original of ' : 'Result for ') + p.name);
  const reduced = p.original !== `${width} × ${height}` ? `, shown at ${width} × ${height}` : '';
  let text = `${p.name}: ${p.original}${reduced}.`;
  if (empty) text += ' Nothing is left: lower the tolerance.';
  else if (p.color === null && p.share === 0) text += ' Its border is transparent already: click on the background, if there is one.';
  else if (p.color === null && p.share < .5) text += ` Only ${Math.round(100 * p.share)} % of its border are of about one colour: click on the background if this is not it.`;
  facts.textContent = text;
  placeAim();
}

/* --- picking the colour --- */

/** @typedef {[number, number] | null} Place in pixels of the preview */
let cross = /** @type {Place} */ (null);

/** @param {MouseEvent} e @returns {[number, number] | null} */
function under(e) {
  const view = current?.preview;
  if (!view) return null;
  const box = canvas.getBoundingClientRect();
  const x = corner[0] + Math.floor((e.clientX - box.left) * canvas.width / box.width);
  const y = corner[1] + Math.floor((e.clientY - box.top) * canvas.height / box.height);
  return [Math.min(Math.max(x, 0), view.width - 1), Math.min(Math.max(y, 0), view.height - 1)];
}

/**
 * The colour at a place: of the pixel if its neighbours are alike, else the median of
 * the 25 around, for a photograph's noise.
 * @param {[number, number]} at
 */
function colorAt([x, y]) {
  const view = current?.preview;
  if (!view) return '#ffffff';
  /** @type {number[][]} */
  const around = [[], [], []];
  for (let j = Math.max(0, y - 2); j < Math.min(view.height, y + 3); j++) for (let i = Math.max(0, x - 2); i < Math.min(view.width, x + 3); i++) {
    for (let c = 0; c < 3; c++) around[c].push(view.pixels[4 * (j * view.width + i) + c]);
  }
  return '#' + around.map(v => v.sort((a, b) => a - b)[v.length >> 1].toString(16).padStart(2, '0')).join('');
}

function placeAim() {
  const view = current?.preview;
  aim.hidden = cross === null || !view;
  if (!cross || !view) return;
  const box = canvas.getBoundingClientRect(), outer = glass.getBoundingClientRect();
  aim.style.left = `${box.left - outer.left + (cross[0] - corner[0] + .5) * box.width / canvas.width}px`;
  aim.style.top = `${box.top - outer.top + (cross[1] - corner[1] + .5) * box.height / canvas.height}px`;
  aim.style.backgroundColor = colorAt(cross);
}

function pick() {
  if (!current || !cross) return;
  current.color = colorAt(cross);
  say.textContent = 'The background is ' + current.color;
  color.value = current.color;
  setOriginal(false);
}

canvas.addEventListener('pointermove', e => { cross = under(e); placeAim(); });
canvas.addEventListener('pointerleave', () => { cross = null; placeAim(); });
canvas.addEventListener('blur', () => { cross = null; placeAim(); });
canvas.addEventListener('click', e => { cross = under(e); pick(); });
canvas.addEventListener('keydown', e => {
  const view = current?.preview;
  if (!view || e.ctrlKey || e.altKey || e.metaKey) return;
  const far = e.shiftKey ? 25 : 5;
  /** @type {Record<string, [number, number]>} */
  const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
  const move = moves[e.key];
  if (move) {
    cross ??= [view.width >> 1, view.height >> 1];
    cross = [Math.min(Math.max(cross[0] + move[0], 0), view.width - 1), Math.min(Math.max(cross[1] + move[1], 0), view.height - 1)];
    setOriginal(true);
    say.textContent = `${cross[0]}, ${cross[1]}: ${colorAt(cross)}`;
  } else if (e.key === 'Enter' || e.key === ' ') {
    pick();
  } else if (e.key === 'Escape') {
    cross = null;
    setOriginal(false);
  } else {
    return;
  }
  e.preventDefault();
});

/* --- the controls --- */

/** @param {boolean} on */
function setOriginal(on) {
  original = on;
  showResult.setAttribute('aria-pressed', String(!on));
  showOriginal.setAttribute('aria-pressed', String(on));
  show();
}

showResult.addEventListener('click', () => setOriginal(false));
showOriginal.addEventListener('click', () => setOriginal(true));
for (const b of document.querySelectorAll('.ground')) b.addEventListener('click', () => {
  if (!(b instanceof HTMLElement)) return;
  for (const other of document.querySelectorAll('.ground')) other.setAttribute('aria-pressed', String(other === b));
  glass.className = 'glass ' + b.dataset.ground;
});

color.addEventListener('input', () => {
  if (!current) return;
  let v = color.value.trim().toLowerCase().replace(/^#?/, '#');
  if (/^#[0-9a-f]{3}$/.test(v)) v = '#' + v[1] + v[1] + v[2] + v[2] + v[3] + v[3];
  const empty = v === '#', good = /^#[0-9a-f]{6}$/.test(v);
  color.setAttribute('aria-invalid', String(!empty && !good));
  if (empty || good) { current.color = empty ? null : v; show(); }
});
swatch.addEventListener('input', () => { if (current) { current.color = color.value = swatch.value; color.removeAttribute('aria-invalid'); show(); } });
get('auto', HTMLButtonElement).addEventListener('click', () => {
  if (!current) return;
  current.color = current.tolerance = null;
  color.value = tolerance.value = '';
  color.removeAttribute('aria-invalid');
  show();
});
slide.addEventListener('input', () => { if (current) { current.tolerance = Number(slide.value); tolerance.value = slide.value; show(); } });
tolerance.addEventListener('input', () => {
  if (!current) return;
  const n = Number(tolerance.value);
  const good = Number.isInteger(n) && n >= 0 && n <= 255;
  tolerance.setAttribute('aria-invalid', String(!good));
  if (good) { current.tolerance = tolerance.value === '' ? null : n; show(); }
});
for (const input of [feather, border, trim]) input.addEventListener('input', show);
same.addEventListener('click', () => {
  if (!current) return;
  for (const p of pictures) { p.color = chosenColor(current); p.tolerance = chosenTolerance(current); }
  say.textContent = 'All pictures have this colour and tolerance now.';
  show();
});

/* --- choosing, dropping, pasting --- */

for (const id of ['files', 'camera']) {
  const input = get(id, HTMLInputElement);
  input.addEventListener('change', () => { take([...input.files ?? []]); input.value = ''; });
}
addEventListener('dragover', e => {
  if (!e.dataTransfer?.types.includes('Files')) return;
  e.preventDefault();
  drop.classList.add('over');
});
addEventListener('dragleave', e => { if (!e.relatedTarget) drop.classList.remove('over'); });
addEventListener('drop', e => {
  drop.classList.remove('over');
  if (!e.dataTransfer?.files.length) return;
  e.preventDefault();
  take(e.dataTransfer.files);
});
document.addEventListener('paste', e => {
  if (!e.clipboardData?.files.length) return;
  e.preventDefault();
  take(e.clipboardData.files);
});

/* --- the results --- */

/** @param {Picture} p */
async function result(p) {
  await read(p); // for its colour and tolerance
  if (p.trouble) throw new Error(p.trouble);
  const o = options(p);
  const query = new URLSearchParams({ color: chosenColor(p), tolerance: String(o.tolerance), border: String(o.border), feather: String(o.feather), trim: String(trim.checked) });
  return (await post('/cutout?' + query, p.file)).blob();
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}

/** @param {string} name */
const resultName = name => name.replace(/\.[^.]*$/, '') + (/\.png$/i.test(name) ? '-cut.png' : '.png');

/** @param {boolean} on */
function setWorking(on) {
  working = on;
  download.disabled = on || !!current?.trouble;
  downloadAll.disabled = on;
  progress.hidden = !on;
}

form.addEventListener('submit', async event => {
  event.preventDefault();
  const p = current;
  if (!p || working) return;
  setWorking(true);
  bar.removeAttribute('value');
  progressText.textContent = say.textContent = `Cutting ${p.name} …`;
  trouble.hidden = true;
  try {
    save(await result(p), resultName(p.name));
    say.textContent = `${resultName(p.name)} is ready.`;
  } catch (err) {
    trouble.hidden = false;
    troubleText.textContent = err instanceof Error ? err.message : String(err);
  }
  setWorking(false);
});

downloadAll.addEventListener('click', async () => {
  if (working) return;
  setWorking(true);
  const todo = [...pictures];
  /** @type {{ name: string, data: Blob }[]} */
  const done = [];
  const used = new Set();
  let failed = 0;
  for (const [i, p] of todo.entries()) {
    bar.max = todo.length;
    bar.value = i;
    progressText.textContent = say.textContent = `Cutting ${i + 1} of ${todo.length}: ${p.name} …`;
    try {
      const data = await result(p);
      let name = resultName(p.name);
      for (let n = 2; used.has(name); n++) name = resultName(p.name).replace(/\.png$/, `-${n}.png`);
      used.add(name);
      done.push({ name, data });
      describe(p, 'done');
    } catch (err) {
      failed++;
      p.trouble ||= err instanceof Error ? err.message : String(err);
      describe(p);
    }
  }
  if (done.length > 0) save(await zip(done), 'cut-out.zip');
  say.textContent = failed ? `${done.length} are ready, ${failed} could not be cut.` : `${done.length} are ready.`;
  setWorking(false);
  show();
});

new ResizeObserver(placeAim).observe(canvas);
