// The cards over the picture: text along the edges, never over the middle.

import { drift } from "./drift.js";

/**
 * @typedef {object} Cards
 * @property {boolean} [time]
 * @property {{text: string, author?: string}} [quote]
 * @property {{title: string, source?: string}[]} [headlines]
 * @property {{watts?: number, estimated?: boolean, celsius?: number, busy?: number, memoryUsed?: number, memoryTotal?: number, swapUsed?: number, swapTotal?: number, address?: string}} [machine]
 * @property {{author: string, text: string}[]} [chat] the latest last
 * @property {string} [notice]
 */

/** How long a story (a quote, headlines, or the chat) stays, in ms. */
const STORY = 20000;
const HEADLINES = 3;
const CHAT_LINES = 2;
const MARGIN = 3; // modules of light around a QR code
const PAPER = [0xec, 0xe6, 0xda], INK = [0x05, 0x06, 0x0c];

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function element(tag, className, text) {
  const e = document.createElement(tag);
  e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

/** @param {string} caption */
const unnumbered = (caption) => caption.replace(/\d+/g, "");

/** Lays the cards out in a container. */
export class CardTable {
  /** @type {Cards} */
  #cards = {};
  #story = 0;
  #storyKey = "";
  #shown = "";
  #caption = "";
  #told = ""; // of the caption
  #container;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
    this.clock = element("section", "card clock");
    this.time = element("div", "time");
    this.date = element("div", "date");
    this.clock.append(this.time, this.date);
    this.machine = element("section", "card machine");
    this.story = element("section", "card story");
    this.caption = element("section", "card caption");
    this.about = element("div", "about");
    this.guests = element("div", "guests");
    this.caption.append(this.guests, this.about);
    this.invitation = element("section", "card invitation");
    this.notice = element("section", "card notice");
    for (const card of [this.clock, this.machine, this.story, this.caption, this.invitation, this.notice]) card.hidden = true;
    container.append(this.clock, this.machine, this.notice, this.story, this.caption, this.invitation);
    setInterval(() => this.#tick(), 1000);
    setInterval(() => this.turn(), STORY);
    this.#tick();
  }

  /** @param {Cards} cards */
  show(cards) {
    this.#cards = cards;
    this.#tick();
    this.#showMachine();
    this.#showStory();
    this.notice.hidden = !cards.notice;
    this.notice.textContent = cards.notice ?? "";
  }

  /**
   * Another name at once; the number in it, which runs with the picture, once a second: nobody
   * reads it faster, and laying text out anew is a good part of what a quiet picture costs.
   * @param {string} text
   */
  setCaption(text) {
    const another = unnumbered(text) !== unnumbered(this.#caption);
    this.#caption = text;
    if (another) this.#showCaption();
  }

  #showCaption() {
    if (this.#told === this.#caption) return;
    this.about.textContent = this.#told = this.#caption;
    this.caption.hidden = this.#told === "" && this.guests.textContent === "";
  }

  /**
   * Who is about to draw.
   * @param {string[]} names
   */
  setGuests(names) {
    this.guests.textContent = names.length === 0 ? "" : names.length < 3 ? names.join(" and ") : `${names.length} visitors`;
  }

  /**
   * The code that lets visitors in; null for none.
   * @param {{url: string, side: number, modules: string} | null} invitation
   */
  invite(invitation) {
    this.invitation.hidden = !invitation;
    if (!invitation) {
      this.invitation.replaceChildren();
      return;
    }
    const { side, modules } = invitation;
    const bits = Uint8Array.from(atob(modules), (c) => c.charCodeAt(0));
    const size = side + 2 * MARGIN;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    if (!context) return;
    const image = context.createImageData(size, size);
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const mx = x - MARGIN, my = y - MARGIN, i = my * side + mx;
        const dark = mx >= 0 && my >= 0 && mx < side && my < side && bits[i >> 3] >> (i & 7) & 1;
        image.data.set([...(dark ? INK : PAPER), 255], 4 * (y * size + x));
      }
    }
    context.putImageData(image, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "A code to scan: " + invitation.url);
    this.invitation.replaceChildren(canvas, "Scan, and draw");
  }

  /** Moves all cards a little every minute, so that nothing burns in. */
  #shift() {
    const { x, y } = drift(Date.now());
    this.#container.style.translate = `${(x * 0.9).toFixed(2)}vmin ${(y * 0.9).toFixed(2)}vmin`;
  }

  #tick() {
    this.#shift();
    this.#showCaption();
    this.clock.hidden = !this.#cards.time;
    if (this.clock.hidden) return;
    const now = new Date();
    const time = now.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
    if (this.#shown !== time) {
      this.#shown = time;
      const parts = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" }).formatToParts(now);
      const digits = parts.filter((p) => p.type !== "dayPeriod").map((p) => p.value).join("").trim();
      const period = parts.find((p) => p.type === "dayPeriod");
      this.time.replaceChildren(digits, ...(period ? [element("span", "period", period.value)] : []));
      this.date.textContent = now.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
    }
  }

  #showMachine() {
    const m = this.#cards.machine ?? {};
    /** @type {[string, string, string][]} */
    const rows = [];
    if (m.watts !== undefined) rows.push([(m.estimated ? "≈ " : "") + m.watts.toFixed(1), "W", "power"]);
    if (m.celsius !== undefined) rows.push([m.celsius.toFixed(0), "°C", "temperature"]);
    /** @param {number} share @param {string} name */
    const percent = (share, name) => rows.push([(100 * share).toFixed(0), "%", name]);
    if (m.busy !== undefined) percent(m.busy, "processor");
    if (m.memoryUsed !== undefined && m.memoryTotal) percent(m.memoryUsed / m.memoryTotal, "memory");
    if (m.swapUsed !== undefined && m.swapTotal) percent(m.swapUsed / m.swapTotal, "swap");
    this.machine.hidden = rows.length === 0 && !m.address;
    const figures = element("div", "figures");
    this.machine.replaceChildren(figures, ...(m.address ? [element("div", "address", m.address)] : []));
    figures.replaceChildren(...rows.map(([value, unit, name]) => {
      const row = element("div", "figure");
      row.append(element("span", "value", value), element("span", "unit", unit), element("span", "name", name));
      return row;
    }));
  }

  /** @returns {{key: string, make: () => HTMLElement[]}[]} */
  #stories() {
    const stories = [];
    const { quote, headlines = [], chat = [] } = this.#cards;
    if (quote) {
      stories.push({
        key: "quote " + quote.text,
        make: () => {
          const text = element("blockquote", quote.text.length > 140 ? "quote long" : "quote", quote.text);
          return quote.author ? [text, element("div", "author", quote.author)] : [text];
        },
      });
    }
    for (let i = 0; i < headlines.length; i += HEADLINES) {
      const some = headlines.slice(i, i + HEADLINES);
      stories.push({
        key: "headlines " + JSON.stringify(some),
        make: () => some.map((h) => {
          const line = element("div", "headline");
          line.append(element("span", "title", h.title));
          if (h.source) line.append(element("span", "source", h.source));
          return line;
        }),
      });
    }
    if (chat.length > 0) {
      const lines = chat.slice(-CHAT_LINES);
      stories.push({
        key: "chat " + JSON.stringify(lines),
        make: () => lines.map(({ author, text }) => {
          const line = element("div", "line");
          line.append(element("span", "who", author), element("span", "says", text));
          return line;
        }),
      });
    }
    return stories;
  }

  /** Shows the next story: a quote, headlines, what was said. */
  turn() {
    this.#story++;
    this.#showStory();
  }

  #showStory() {
    const stories = this.#stories();
    this.story.hidden = stories.length === 0;
    if (stories.length === 0) return;
    // What stands there stays until its turn is over, even if its neighbours changed.
    const story = stories[this.#story % stories.length];
    if (story.key === this.#storyKey) return;
    this.#storyKey = story.key;
    this.story.classList.remove("shown");
    // Read, so that the fade begins anew.
    void this.story.offsetWidth;
    this.story.replaceChildren(...story.make());
    this.story.classList.add("shown");
  }
}
