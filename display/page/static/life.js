// The page of the Game of Life: browse, play, step, draw, load, save and share.

import { awayNotice, BoardLink, byID, Canvas, say } from "./board.js";

const place = byID("board");
const canvas = new Canvas(place);
const error = byID("error");
const told = byID("told");
const cursor = byID("cursor");
const upright = innerHeight > innerWidth;

/** @type {any} */
let state = {};

/**
 * What to do as soon as the board is there.
 * @type {(() => void) | null}
 */
let first = fromLink();

const link = new BoardLink("/display/board", { kind: "life", width: upright ? "64" : "128", height: upright ? "80" : "80" }, {
  frame: (frame) => {
    canvas.take(frame);
    placeCursor();
  },
  state: show,
  open: (kept) => {
    if (first) {
      first();
      first = null;
    } else if (!kept) {
      link.send({ type: "place", name: "gosper-glider-gun" });
      link.send({ type: "play" });
    }
  },
  answer: hear,
  error: (what, remedy) => {
    say(told, "");
    say(error, what + " " + remedy);
    error.scrollIntoView({ block: "nearest" });
  },
  away: (why, again) => away(why, again),
});
const away = awayNotice(() => link);

/** @param {object} message */
function ask(message) {
  say(error, "");
  say(told, "");
  link.send(message);
}

/** @param {any} s */
function show(s) {
  state = s;
  byID("generation").textContent = s.generation.toLocaleString("en");
  byID("population").textContent = s.population.toLocaleString("en");
  byID("size-now").textContent = `${s.width} × ${s.height}`;
  byID("pattern-name").textContent = s.name || "Your own";
  byID("repeats").textContent = s.population === 0 ? "empty" : s.period === 1 ? "stands still" : s.period > 1 ? `repeats after ${s.period}` : s.playing ? "running" : "paused";
  byID("play").hidden = s.playing;
  byID("pause").hidden = !s.playing;
  const rule = /** @type {HTMLInputElement} */ (byID("rule"));
  if (document.activeElement !== rule) rule.value = s.rule;
  const speed = /** @type {HTMLInputElement} */ (byID("speed"));
  if (document.activeElement !== speed) speed.value = String(s.speed);
  byID("speed-now").textContent = s.speed === 1 ? "1 generation a second" : `${s.speed} generations a second`;
}

// --- the buttons ---

byID("play").addEventListener("click", () => {
  ask({ type: "play" });
  byID("pause").hidden = false;
  byID("pause").focus({ preventScroll: true });
});
byID("pause").addEventListener("click", () => {
  ask({ type: "pause" });
  byID("play").hidden = false;
  byID("play").focus({ preventScroll: true });
});
byID("step").addEventListener("click", () => ask({ type: "step" }));
byID("random").addEventListener("click", () => {
  ask({ type: "random" });
  ask({ type: "play" });
});
byID("clear").addEventListener("click", () => ask({ type: "clear" }));
byID("speed").addEventListener("input", (event) => {
  ask({ type: "speed", speed: Number(/** @type {HTMLInputElement} */ (event.target).value) });
});
byID("rule-form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ type: "rule", rule: /** @type {HTMLInputElement} */ (byID("rule")).value });
});
byID("size").addEventListener("change", (event) => {
  const select = /** @type {HTMLSelectElement} */ (event.target);
  let [width, height] = select.value.split("x").map(Number);
  if (upright) [width, height] = [height, width];
  if (width) ask({ type: "size", width, height });
  select.value = "";
});

/** @param {string} slug */
function choose(slug) {
  ask({ type: "place", name: slug });
  ask({ type: "play" });
}

/** What a link asks for: #pattern=glider or #rle=... */
function fromLink() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const slug = asked.get("pattern"), rle = asked.get("rle");
  if (!slug && !rle) return null;
  return () => {
    if (slug) return choose(slug);
    ask({ type: "load", text: rle });
  };
}
addEventListener("hashchange", () => {
  const act = fromLink();
  if (!act) return;
  if (link.connected) act();
  else first = act;
});
for (const tile of document.querySelectorAll("a.pattern")) {
  tile.addEventListener("click", (event) => {
    event.preventDefault();
    choose(/** @type {HTMLElement} */ (tile).dataset.slug ?? "");
    history.replaceState(null, "", /** @type {HTMLAnchorElement} */ (tile).hash);
    byID("main").scrollIntoView({ behavior: "smooth" });
  });
}
byID("find").addEventListener("input", (event) => {
  const words = /** @type {HTMLInputElement} */ (event.target).value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const tile of document.querySelectorAll("a.pattern")) {
    const text = (tile.textContent ?? "").toLowerCase();
    const hit = words.every((w) => text.includes(w));
    /** @type {HTMLElement} */ (tile).hidden = !hit;
    if (hit) shown++;
  }
  byID("none-found").hidden = shown > 0;
});

// --- files and links ---

const file = /** @type {HTMLInputElement} */ (byID("file"));
const MOST = 400_000; // characters: the board refuses longer messages

/** @param {Blob | undefined} blob */
async function load(blob) {
  if (!blob) return;
  if (blob.size > MOST) {
    say(error, `The file has ${Math.ceil(blob.size / 1000)} kB, which is too large for this page. At most ${MOST / 1000} kB can be read; “sierpi life run” takes larger ones.`);
    return;
  }
  ask({ type: "load", text: await blob.text() });
}
file.addEventListener("change", () => {
  load(file.files?.[0]);
  file.value = "";
});
const drop = byID("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  for (const target of [drop, place]) {
    target.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") load(/** @type {DragEvent} */ (event).dataTransfer?.files[0]);
    });
  }
}

/** @type {"save" | "share"} */
let wanted = "save";
byID("save").addEventListener("click", () => {
  wanted = "save";
  ask({ type: "save" });
});
byID("share").addEventListener("click", () => {
  wanted = "share";
  ask({ type: "save" });
});

/** @param {any} answer */
function hear(answer) {
  if (answer.type === "loaded") {
    say(told, `${answer.name || "The pattern"} is on the board: ${answer.cells.toLocaleString("en")} cells.`);
    return;
  }
  if (answer.type !== "pattern") return;
  if (wanted === "save") {
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([answer.rle], { type: "text/plain" }));
    a.download = answer.name + ".rle";
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
    return;
  }
  if (!answer.share) {
    say(error, "This universe is too large for a link. Save it as a file instead.");
    return;
  }
  const url = new URL(location.pathname, location.href);
  url.hash = new URLSearchParams({ rle: answer.rle }).toString();
  history.replaceState(null, "", url);
  share(url.href);
}

/** @param {string} href */
async function share(href) {
  const shown = /** @type {HTMLInputElement} */ (byID("link"));
  byID("link-field").hidden = false;
  shown.value = href;
  shown.select();
  try {
    // Over plain http browsers have neither, but for this machine's own.
    if (navigator.share && matchMedia("(pointer: coarse)").matches) await navigator.share({ url: href, title: "A universe of Life" });
    else await navigator.clipboard.writeText(href);
    say(told, "The link is copied.");
  } catch {
    say(told, "Copy the link from the field below the board.");
  }
}

// --- drawing ---

let drawing = false, lives = true;
/** @type {{x: number, y: number} | null} */
let last = null;
/** @type {number[]} */
let strokes = [];
let due = 0;

/** @param {number} x @param {number} y */
function isAlive(x, y) {
  const frame = canvas.frame;
  // Package display: a live cell's value has its highest bit set.
  return frame !== null && (frame.cells[y * frame.width + x] & 128) !== 0;
}

/** @param {{x: number, y: number}} to */
function stroke(to) {
  const from = last ?? to;
  const n = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
  for (let i = last ? 1 : 0; i <= n; i++) {
    strokes.push(Math.round(from.x + (to.x - from.x) * i / n), Math.round(from.y + (to.y - from.y) * i / n));
  }
  last = to;
  if (!due) due = requestAnimationFrame(flush);
}

function flush() {
  due = 0;
  if (strokes.length > 0) ask({ type: "draw", cells: strokes, alive: lives });
  strokes = [];
}

place.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  const cell = canvas.cellAt(event.clientX, event.clientY);
  if (!cell) return;
  // A second finger is no stroke.
  if (drawing && !event.isPrimary) return;
  event.preventDefault();
  place.focus({ preventScroll: true });
  place.setPointerCapture(event.pointerId);
  drawing = true;
  last = null;
  const mode = byID("mode").dataset.mode;
  lives = mode === "draw" ? true : mode === "erase" ? false : !isAlive(cell.x, cell.y);
  at = cell;
  keyboard = false;
  placeCursor();
  stroke(cell);
});
place.addEventListener("pointermove", (event) => {
  if (!drawing || !event.isPrimary) return;
  for (const e of event.getCoalescedEvents?.() ?? [event]) {
    const cell = canvas.cellAt(e.clientX, e.clientY);
    if (cell) stroke(cell);
    else last = null;
  }
});
for (const kind of ["pointerup", "pointercancel"]) {
  place.addEventListener(kind, () => {
    drawing = false;
    flush();
  });
}
byID("mode").addEventListener("change", (event) => {
  byID("mode").dataset.mode = /** @type {HTMLInputElement} */ (event.target).value;
});

// By keyboard: arrows move, Enter or the space bar changes the cell.
let at = { x: 0, y: 0 };
let keyboard = false;

function placeCursor() {
  const frame = canvas.frame, picture = place.querySelector(".picture");
  const show = keyboard && document.activeElement === place && frame !== null && picture !== null;
  cursor.hidden = !show;
  if (!show || !frame || !picture) return;
  const size = picture.getBoundingClientRect().width / frame.width;
  cursor.style.width = cursor.style.height = `${size}px`;
  cursor.style.transform = `translate(${at.x * size}px, ${at.y * size}px)`;
}
place.addEventListener("focus", () => {
  keyboard = place.matches(":focus-visible");
  placeCursor();
});
place.addEventListener("blur", placeCursor);
place.addEventListener("keydown", (event) => {
  const frame = canvas.frame;
  if (!frame || event.ctrlKey || event.metaKey || event.altKey) return;
  const far = event.shiftKey ? 10 : 1;
  const way = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
  if (way) {
    at.x = (at.x + way[0] + frame.width) % frame.width;
    at.y = (at.y + way[1] + frame.height) % frame.height;
  } else if (event.key === "Enter" || event.key === " ") {
    lives = !isAlive(at.x, at.y);
    last = null;
    stroke(at);
  } else {
    return;
  }
  keyboard = true;
  event.preventDefault();
  byID("spoken").textContent = `Column ${at.x + 1}, row ${at.y + 1}`;
  placeCursor();
});
addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select, textarea")) return;
  if (event.key === "p") ask({ type: state.playing ? "pause" : "play" });
  else if (event.key === "n") ask({ type: "step" });
});

// For tests, and for whoever looks into the page's console.
Object.assign(globalThis, { sierpi: { canvas, link, get state() { return state; } } });
