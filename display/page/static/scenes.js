// The settings of the scenes: tried on a board of one's own, then, by the owner,
// put on the wall.

import { awayNotice, BoardLink, byID, Canvas, say } from "./board.js";

/** @typedef {{scene: string, level?: number, colours?: string, day?: boolean, speed?: number, variant?: string, seed?: number}} Settings */

const canvas = new Canvas(byID("board"));
const form = /** @type {HTMLFormElement} */ (byID("settings"));
const error = byID("error"), told = byID("told");
const level = /** @type {HTMLInputElement} */ (byID("level"));
const speed = /** @type {HTMLInputElement} */ (byID("speed"));
const upright = innerHeight > innerWidth;

/**
 * What the wall's scenes are set to; a scene that is not in it is as it comes.
 * @type {Record<string, Settings>}
 */
const onWall = JSON.parse(form.dataset.settings || "{}") ?? {};

// 16:9 as most walls, or nearly square above a phone's controls.
const link = new BoardLink("/display/board", { kind: "figure", width: upright ? "240" : "320", height: upright ? "200" : "180" }, {
  frame: (frame) => {
    canvas.take(frame);
    byID("caption").textContent = frame.caption;
  },
  state: (s) => {
    byID("play").hidden = s.playing;
    byID("pause").hidden = !s.playing;
  },
  open: () => preview(),
  error: (what, remedy) => say(error, what + " " + remedy),
  away: (why, again) => away(why, again),
});
const away = awayNotice(() => link);

/** @param {string} group @returns {HTMLInputElement | null} */
const chosen = (group) => form.querySelector(`input[name="${group}"]:checked`);

/** @param {string} group @param {string} value */
function choose(group, value) {
  for (const input of form.querySelectorAll(`input[name="${group}"]`)) {
    /** @type {HTMLInputElement} */ (input).checked = /** @type {HTMLInputElement} */ (input).value === value;
  }
}

/** The settings as the form has them. @returns {Settings} */
function settings() {
  return {
    scene: chosen("scene")?.value ?? "",
    level: Number(level.value),
    colours: chosen("colours")?.value,
    day: chosen("light")?.value === "day",
    speed: Number(speed.value),
    variant: chosen("variant")?.value,
  };
}

/** Fills the form for the scene that is chosen: as the wall has it, or as it comes. */
function fill() {
  const scene = chosen("scene");
  if (!scene) return;
  const d = scene.dataset;
  const s = onWall[scene.value] ?? { scene: scene.value };
  level.min = d.least ?? "1";
  level.max = d.most ?? "9";
  level.value = String(s.level || d.default);
  byID("level-hint").textContent = d.level ?? "";
  speed.value = String(s.speed || 100);
  choose("colours", s.colours || d.colours || "");
  choose("light", s.day ? "day" : "");
  const variants = (d.variants ?? "").split(" ");
  const legend = document.createElement("legend");
  legend.textContent = "Variant";
  byID("variants").replaceChildren(legend, ...variants.map((v) => {
    const label = document.createElement("label"), input = document.createElement("input");
    input.type = "radio";
    input.name = "variant";
    input.value = v;
    input.checked = v === (s.variant || variants[0]);
    label.append(input, " " + v[0].toUpperCase() + v.slice(1));
    return label;
  }));
  figures();
}

function figures() {
  byID("level-now").textContent = level.value;
  byID("speed-now").textContent = speed.value + " %";
}

let due = 0;
/** Shows the form's settings on the board; a slider's many steps as one. */
function preview() {
  if (due) return;
  due = requestAnimationFrame(() => {
    due = 0;
    const s = settings();
    link.send({ type: "settings", settings: { ...s, day: s.day || form.dataset.day !== undefined } });
  });
}

form.addEventListener("input", (event) => {
  say(error, "");
  say(told, "");
  if (/** @type {HTMLInputElement} */ (event.target).name === "scene") {
    fill();
    history.replaceState(null, "", "#" + settings().scene);
  }
  figures();
  preview();
});
byID("play").addEventListener("click", () => link.send({ type: "play" }));
byID("pause").addEventListener("click", () => link.send({ type: "pause" }));
byID("anew").addEventListener("click", () => {
  link.send({ type: "anew" });
  link.send({ type: "play" });
});

/** @param {boolean} show */
async function apply(show) {
  const s = settings();
  say(error, "");
  say(told, "");
  try {
    const answer = await fetch("/scenes", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ settings: s, show }),
    });
    if (!answer.ok) {
      const why = await answer.json().catch(() => ({}));
      say(error, [why.error, why.remedy ?? why.hint].filter(Boolean).join(" ") || `The daemon answers ${answer.status}.`);
      return;
    }
    onWall[s.scene] = s;
    say(told, show ? "The wall shows it now." : "Kept: the wall shows it so at its next turn.");
  } catch {
    say(error, "sierpi does not answer. Try again in a moment.");
  }
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (document.getElementById("show")) apply(true);
});
document.getElementById("keep")?.addEventListener("click", () => apply(false));

// #fern is a link to that scene.
if (form.querySelector(`input[name="scene"][value="${CSS.escape(location.hash.slice(1))}"]`)) choose("scene", location.hash.slice(1));
fill();

// For tests, and for whoever looks into the page's console.
Object.assign(globalThis, { sierpi: { canvas, link, settings } });
