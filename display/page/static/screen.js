// The kiosk's and the visitors' page: paints the frames of the stage, lays the
// cards over them and reports what it painted.

import { CardTable } from "./cards.js";
import { drift } from "./drift.js";
import { GhostLayer, colourOf } from "./ghosts.js";
import { Link } from "./link.js";
import { LADDER, painter } from "./paint.js";
import { band, hash } from "./wire.js";

/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {import("./paint.js").Painter} Painter */
/** @typedef {import("./paint.js").Rung} Rung */

const BEAT = 5000; // ms between heartbeats
const PICTURE = 1000; // ms between pictures on the last rung
const CALM_RATE = 2.5; // frames a second for people who asked for less motion
const SLOW_BEATS = 3; // so many slow heartbeats lead one rung down
const EASY_BEATS = 12; // and so many without a slow one up again, twice as many after each fall
const MOST_EASY_BEATS = 720; // an hour
const PICTURE_PATH = "/display/frame.png" + location.search;
const SHIFT = 3; // pixels of the screen that the picture wanders, against burn-in

const stage = /** @type {HTMLElement} */ (document.getElementById("stage"));
const sign = /** @type {HTMLElement} */ (document.getElementById("sign"));
const cardTable = new CardTable(/** @type {HTMLElement} */ (document.getElementById("cards")));
const query = new URLSearchParams(location.search);
const wantedRate = Number(document.body.dataset.rate) || Infinity;
const calmQuery = matchMedia("(prefers-reduced-motion: reduce)");

class Screen {
  /** @type {Frame | null} */
  #frame = null;
  /** @type {Painter[]} one, or two that are faded into one another */
  #painters = [];
  #front = 0;
  #due = 0; // the animation frame asked for
  #rung = this.#firstRung();
  #forced = query.has("rung");
  #calm = calmQuery.matches;

  painted = 0; // number of the frame on view
  total = 0; // frames painted since the page was opened
  paused = false;
  #count = 0; // frames painted since the last heartbeat
  #spent = 0; // ms in painting since then
  #beatAt = performance.now();
  #slow = 0;
  #easy = 0; // heartbeats since the last slow one
  #patience = EASY_BEATS; // so many of them lead one rung up
  #best = LADDER.indexOf(this.#rung); // the highest rung that this browser has

  constructor() {
    this.link = new Link(this.#rate(), {
      frame: (frame) => this.#take(frame),
      cards: (cards) => cardTable.show(cards),
      state: (up) => document.body.classList.toggle("offline", !up),
      tell: (message) => {
        if (message.type === "light") this.#light(message);
        if (message.type === "ghosts") this.#haunt(message.ghosts);
        if (message.type === "invitation") cardTable.invite(message.invitation);
      },
    });
    setInterval(() => this.#layOut(), 60000);
    setInterval(() => this.beat(), BEAT);
    setInterval(() => this.#fetchPicture(), PICTURE);
    calmQuery.addEventListener("change", () => {
      this.#calm = calmQuery.matches;
      this.#discard();
      this.link.setRate(this.#rate());
    });
    addEventListener("resize", () => this.#layOut());
    document.addEventListener("visibilitychange", () => this.beat());
    addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "p") this.pause(!this.paused);
    });
    document.getElementById("pause")?.addEventListener("click", () => this.pause(!this.paused));
  }

  /**
   * The output is to be dark, the cards as dim as the picture, and ink on paper or light in the dark.
   * @param {{on: boolean, bright: number, day?: boolean}} light
   */
  #light({ on, bright, day = false }) {
    const { classList, style } = document.body;
    classList.toggle("dark", !on);
    classList.toggle("dimmed", bright < 1);
    style.setProperty("--bright", bright.toFixed(3));
    // The picture has the square of it in linear light.
    style.setProperty("--lamp", (bright ** (2 / 2.4)).toFixed(3));
    if (classList.toggle("day", day) !== this.#day) {
      this.#day = day;
      this.#haunt(this.#haunting);
    }
  }

  #day = false;
  #ground = "";

  /**
   * Beside the picture, on an upright screen, is what is behind it: the palette's first colour.
   * @param {Frame} frame
   */
  #surround({ palette }) {
    const ground = palette.length >= 3 ? `rgb(${palette[0]} ${palette[1]} ${palette[2]})` : "";
    if (ground === this.#ground) return;
    this.#ground = ground;
    document.body.style.backgroundColor = ground;
  }

  #ghosts = new GhostLayer();
  /** @type {{who: string, cells: number[]}[]} */
  #haunting = [];

  /**
   * What visitors are about to draw.
   * @param {{who: string, cells: number[]}[]} ghosts
   */
  #haunt(ghosts) {
    this.#haunting = ghosts;
    const { width, height } = this.#size;
    if (!width) return;
    this.#ghosts.show(width, height, ghosts.map((g) => ({ colour: colourOf(g.who, this.#day), cells: g.cells })), true);
    cardTable.setGuests(ghosts.filter((g) => g.cells.length > 0).map((g) => g.who));
    this.#layOut();
  }

  /** @returns {Rung} */
  #firstRung() {
    const asked = /** @type {Rung} */ (query.get("rung"));
    return LADDER.includes(asked) ? asked : LADDER[0];
  }

  #rate() {
    if (this.paused || this.#rung === "png") return 0;
    return this.#calm ? Math.min(CALM_RATE, wantedRate) : wantedRate;
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    this.link.setRate(this.#rate());
    document.body.classList.toggle("paused", paused);
    document.getElementById("pause")?.setAttribute("aria-pressed", String(paused));
    this.beat();
  }

  /** @param {Frame} frame */
  #take(frame) {
    if (this.paused) return;
    this.#frame = frame;
    // Life moves in every second frame. One like the last is on view already: not even
    // an animation frame is asked for, which costs a browser without a GPU more than the painting.
    if (frame.same && this.#due === 0 && this.#painters.length > 0 && this.#rung !== "png" && !document.hidden) {
      this.#shown(frame);
      return;
    }
    if (this.#due === 0) {
      this.#due = requestAnimationFrame(() => {
        this.#due = 0;
        this.#paint();
      });
    }
  }

  #discard() {
    for (const p of this.#painters) p.close();
    this.#painters = [];
  }

  /** @param {number} width @param {number} height */
  #prepare(width, height) {
    this.#discard();
    const count = this.#calm ? 2 : 1;
    for (let i = 0; i < count; i++) {
      const p = painter(this.#rung, width, height, this.#forced, () => {
        this.#best = LADDER.indexOf(this.#rung) + 1;
        this.#stepDown();
      });
      this.#painters.push(p);
      if (p.rung !== this.#rung) this.#best = LADDER.indexOf(p.rung);
      this.#rung = p.rung;
    }
    stage.replaceChildren(...this.#painters.map((p) => p.element), this.#ghosts.canvas);
    this.#layOut();
    if (this.#rung === "png") this.link.setRate(0);
  }

  #size = { width: 0, height: 0 };

  #paint() {
    const frame = this.#frame;
    if (!frame || this.paused) return;
    const began = performance.now();
    if (this.#painters.length === 0 || frame.width !== this.#size.width || frame.height !== this.#size.height) {
      this.#size = { width: frame.width, height: frame.height };
      this.#prepare(frame.width, frame.height);
    }
    if (this.#painters.length === 2) {
      this.#front = 1 - this.#front;
      this.#painters[this.#front].paint(frame);
      this.#painters[1].element.classList.toggle("out", this.#front === 0);
    } else {
      this.#painters[0].paint(frame);
    }
    this.#surround(frame);
    cardTable.setCaption(frame.caption);
    this.#shown(frame);
    this.#spent += performance.now() - began;
  }

  /** @param {Frame} frame is on view */
  #shown(frame) {
    this.painted = frame.number;
    this.#count++;
    this.total++;
    this.link.painted(frame.number);
  }

  #layOut() {
    const { width, height } = this.#size;
    if (!width) return;
    const dpr = devicePixelRatio || 1;
    const w = innerWidth * dpr, h = innerHeight * dpr;
    const cover = Math.max(w / width, h / height), contain = Math.min(w / width, h / height);
    // Whole pixels a cell look best, and a little of the edge may go for it. An
    // upright screen is filled from side to side only.
    let scale = Math.ceil((w < h ? contain : cover) - 0.01);
    if (w < h && width * scale > w * 1.34) scale = Math.floor(contain + 0.01);
    if (w < h && width * scale < w * 0.9) scale = contain;
    if (w >= h && (width * scale > w * 1.25 || height * scale > h * 1.25)) scale = cover;
    if (scale < 1) scale = contain;
    const place = drift(Date.now());
    for (const element of [...this.#painters.map((p) => p.element), this.#ghosts.canvas]) {
      element.style.width = `${width * scale / dpr}px`;
      element.style.height = `${height * scale / dpr}px`;
      // Centred but for a few, on whole pixels of the screen.
      element.style.left = `${Math.round((w - width * scale) / 2 + SHIFT * place.x) / dpr}px`;
      element.style.top = `${Math.round((h - height * scale) / 2 + SHIFT * place.y) / dpr}px`;
      element.classList.toggle("smooth", Math.abs(scale - Math.round(scale)) > 0.01);
    }
  }

  /** The canvas at cell resolution; null on the last rung. */
  read() {
    return this.#painters[this.#front]?.read() ?? null;
  }

  /** What a heartbeat compares of the picture that is on the canvas. */
  readBand() {
    const painter = this.#painters[this.#front];
    if (!painter || !(painter.element instanceof HTMLCanvasElement)) return null;
    return painter.read(...band(painter.element.width, painter.element.height, this.painted));
  }

  get rung() {
    return this.#rung;
  }

  #stepDown() {
    this.#move(1);
  }

  /** @param {number} by rungs of the ladder, down */
  #move(by) {
    const next = LADDER[LADDER.indexOf(this.#rung) + by];
    if (!next) return;
    this.#rung = next;
    this.#forced = false;
    this.#size = { width: 0, height: 0 };
    this.link.setRate(this.#rate());
    if (this.#frame) this.#paint();
  }

  /** Tells the stage how this screen does. */
  beat() {
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#beatAt) / 1000);
    const frames = this.#count, received = this.link.received;
    const cost = (this.#spent + this.link.spent) / Math.max(1, frames);
    this.#beatAt = now;
    this.#count = this.#spent = this.link.spent = this.link.received = 0;

    const px = this.readBand();
    const sum = px ? hash(px) : null;
    const blank = px ? px.every((p) => p === px[0]) : false;
    this.link.send({
      type: "beat",
      frame: this.painted,
      hash: sum,
      blank,
      spent: px ? performance.now() - now : 0,
      rate: frames / seconds,
      rung: this.rung,
      visible: !document.hidden,
      paused: this.paused,
    });

    // Too slow is: frames come, but a third and more of them are overtaken before
    // they are painted, and painting is what takes the time.
    const slow = !document.hidden && !this.paused && received > 20 && frames < received * 0.6 && cost * received > seconds * 500;
    this.#slow = slow ? this.#slow + 1 : 0;
    this.#easy = slow || document.hidden || this.paused ? 0 : this.#easy + 1;
    if (this.#slow >= SLOW_BEATS) {
      this.#slow = 0;
      this.#patience = Math.min(2 * this.#patience, MOST_EASY_BEATS);
      this.#stepDown();
    } else if (this.#easy >= MOST_EASY_BEATS) {
      this.#patience = EASY_BEATS;
    }
    // What was slow for a while, an update in the night, is no reason to stay there for ever.
    if (this.#easy >= this.#patience && LADDER.indexOf(this.#rung) > this.#best) {
      this.#easy = 0;
      this.#move(-1);
    }
  }

  async #fetchPicture() {
    if (this.#rung !== "png" || this.paused || document.hidden) return;
    const image = this.#painters[0]?.element;
    if (!(image instanceof HTMLImageElement)) {
      // Nothing was painted yet: the daemon's picture is of some size.
      this.#size = { width: 480, height: 270 };
      this.#prepare(480, 270);
      return;
    }
    try {
      const answer = await fetch(PICTURE_PATH, { cache: "no-store" });
      if (!answer.ok) return;
      const number = Number(answer.headers.get("Sierpi-Frame"));
      const url = URL.createObjectURL(await answer.blob());
      const old = image.src;
      image.src = url;
      await image.decode().catch(() => {});
      if (old.startsWith("blob:")) URL.revokeObjectURL(old);
      this.#size = { width: image.naturalWidth, height: image.naturalHeight };
      this.#layOut();
      this.painted = number;
      this.#count++;
    } catch {
      // The daemon is away; the last picture stays.
    }
  }
}

const screen = new Screen();
// For tests, and for whoever looks into the page's console.
Object.assign(globalThis, { sierpi: { screen, cardTable } });

// The pointer shows only while it moves, and with it the buttons.
let still = 0;
addEventListener("pointermove", () => {
  document.body.classList.add("pointing");
  clearTimeout(still);
  still = setTimeout(() => document.body.classList.remove("pointing"), 3000);
});
sign.textContent = "The picture is the last one: sierpi does not answer, and is asked again.";
