// Snake: on a board of one's own, or on the wall with this page as the controller.

import { awayNotice, BoardLink, byID, Canvas, say } from "./board.js";

/** @typedef {{where: string, score: number, length: number, best: number, playing: boolean, over: boolean, how: string, kept: boolean}} State */
/** @typedef {{name: string, points: number}} Score */

const KEPT = 10; // high scores
const SWIPE = 18; // CSS pixels that make a turn

const place = byID("board");
const canvas = new Canvas(place);
const error = byID("error");
const form = byID("name-form");
const name = /** @type {HTMLInputElement} */ (byID("name"));

/** @type {State | null} */
let state = null;
/** @type {Score[]} */
let scores = [];

// Squares of 8 cells of light: about 31 by 19 of them, or 19 by 24 on a phone.
const upright = innerHeight > innerWidth;
const listener = {
  /** @param {import("./wire.js").Frame} frame */
  frame: (frame) => canvas.take(frame),
  state: show,
  answer: hear,
  /** @param {string} what @param {string} remedy */
  error: (what, remedy) => {
    say(error, what + " " + remedy);
    if (state) show(state);
  },
  /** @param {string} why @param {boolean} again */
  away: (why, again) => away(why, again),
};
const own = new BoardLink("/display/board", { kind: "snake", width: upright ? "160" : "256", height: upright ? "200" : "160" }, listener);
/** @type {BoardLink | null} */
let wall = null;
const link = () => wall ?? own;
const away = awayNotice(link);

/** @param {object} message */
function ask(message) {
  say(error, "");
  link().send(message);
}

/** @param {State} s */
function show(s) {
  const was = state;
  state = s;
  byID("score").textContent = String(s.score);
  byID("length").textContent = String(s.length);
  byID("best").textContent = String(s.best);
  byID("start").hidden = s.playing;
  byID("pause").hidden = !s.playing;
  const begun = s.score > 0 || s.length > 3;
  byID("start-text").textContent = s.over ? "Play again" : begun ? "Go on" : "Start";
  place.classList.toggle("playing", s.playing);

  const touch = matchMedia("(pointer: coarse)").matches;
  const hint = byID("hint");
  hint.hidden = s.playing || s.where === "wall";
  hint.textContent = s.over ? `The snake ${s.how} at ${s.score}.` : begun ? "On hold" : touch ? "Swipe to start" : "An arrow key starts";

  const among = s.score > 0 && (scores.length < KEPT || s.score > scores[scores.length - 1].points);
  const asks = s.over && !s.kept && among;
  if (asks && form.hidden) {
    byID("won").textContent = String(s.score);
    name.value = remembered();
    // Not at once: who steers to the last moment would type the turns.
    if (!touch) setTimeout(() => { if (!form.hidden) name.focus({ preventScroll: true }); }, 900);
  }
  form.hidden = !asks;
  if (s.over && !(was?.over)) byID("told").textContent = `The snake ${s.how} at ${s.score} points and dissolves into Life.`;
  else if (!s.over && was?.over) byID("told").textContent = "Another game.";
}

// --- high scores ---

function remembered() {
  try {
    return localStorage.getItem("sierpi-player") ?? "";
  } catch {
    return "";
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = name.value.trim();
  if (!text) return;
  try {
    localStorage.setItem("sierpi-player", text);
  } catch {
    // Without storage it is typed again.
  }
  ask({ type: "name", name: text });
  place.focus({ preventScroll: true });
});

/** @param {any} answer */
function hear(answer) {
  if (answer.type !== "kept") return;
  byID("told").textContent = answer.rank ? `Kept: place ${answer.rank}.` : "Not among the best ten any more.";
  fetchScores(answer.rank);
}

/** @param {number} [mine] rank of the player's own */
async function fetchScores(mine) {
  try {
    const answer = await fetch("/snake/scores.json", { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    scores = await answer.json();
  } catch {
    return; // the list stays as it is
  }
  byID("scores").replaceChildren(...scores.map((s, i) => {
    const item = document.createElement("li"), who = document.createElement("span"), points = document.createElement("b");
    who.textContent = s.name;
    points.textContent = String(s.points);
    item.append(who, points);
    if (i + 1 === mine) item.classList.add("mine");
    return item;
  }));
  byID("no-scores").hidden = scores.length > 0;
  if (state) show(state);
}
fetchScores();

// --- steering ---

/** @param {string} direction */
function turn(direction) {
  if (state?.over) return;
  ask({ type: "turn", direction });
}

function begin() {
  ask({ type: "start" });
  place.focus({ preventScroll: true });
}

byID("start").addEventListener("click", begin);
byID("pause").addEventListener("click", () => {
  ask({ type: "pause" });
  byID("start").hidden = false;
  byID("start").focus({ preventScroll: true });
});

/** @type {Record<string, string>} */
const KEYS = { ArrowUp: "up", ArrowRight: "right", ArrowDown: "down", ArrowLeft: "left", KeyW: "up", KeyD: "right", KeyS: "down", KeyA: "left" };

addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select, textarea")) return;
  const direction = KEYS[event.code];
  if (direction) {
    event.preventDefault();
    if (!event.repeat) turn(direction);
    return;
  }
  // A button that has the focus means its own press.
  if (target.closest("button, a, summary")) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    if (event.repeat) return;
    if (!state?.playing) begin();
    else if (event.key === " ") ask({ type: "pause" });
  }
});

/** @type {{id: number, x: number, y: number, moved: boolean} | null} */
let finger = null;
place.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  event.preventDefault();
  place.focus({ preventScroll: true });
  place.setPointerCapture(event.pointerId);
  finger = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false };
});
place.addEventListener("pointermove", (event) => {
  if (!finger || event.pointerId !== finger.id) return;
  const dx = event.clientX - finger.x, dy = event.clientY - finger.y;
  if (Math.max(Math.abs(dx), Math.abs(dy)) < SWIPE) return;
  turn(Math.abs(dx) > Math.abs(dy) ? (dx > 0 ? "right" : "left") : dy > 0 ? "down" : "up");
  // The next turn starts from here: the finger may stay on the glass.
  finger = { id: finger.id, x: event.clientX, y: event.clientY, moved: true };
});
place.addEventListener("pointerup", () => {
  // A tap: begins, or begins anew.
  if (finger && !finger.moved && state && !state.playing) begin();
  finger = null;
});
place.addEventListener("pointercancel", () => { finger = null; });

for (const key of document.querySelectorAll("#keys button")) {
  const direction = /** @type {HTMLElement} */ (key).dataset.turn ?? "";
  // Down, not click: a click comes when the finger leaves.
  key.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    turn(direction);
  });
  key.addEventListener("click", (event) => {
    if (/** @type {MouseEvent} */ (event).detail === 0) turn(direction); // by keyboard
  });
}

// --- the wall ---

/** @param {boolean} on */
function play(on) {
  state = null;
  form.hidden = true;
  say(error, "");
  byID("game").classList.toggle("on-wall", on);
  byID("remote").hidden = !on;
  byID("to-wall").hidden = on;
  byID("from-wall").hidden = !on;
  if (on) {
    own.close();
    wall = new BoardLink("/display/control", { kind: "wall" }, listener);
  } else {
    wall?.send({ type: "leave" });
    wall?.close();
    wall = null;
    own.again();
  }
  history.replaceState(null, "", on ? "#wall" : location.pathname + location.search);
}

const toWall = document.getElementById("to-wall");
if (toWall) {
  toWall.addEventListener("click", () => play(true));
  byID("from-wall").addEventListener("click", () => play(false));
  // The link from the wall's own code.
  if (location.hash === "#wall") play(true);
}

// For tests, and for whoever looks into the page's console.
Object.assign(globalThis, { sierpi: { canvas, get link() { return link(); }, get state() { return state; } } });
