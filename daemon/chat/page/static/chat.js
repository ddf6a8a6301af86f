// Keeps a room up to date. All tabs of a browser share one poll: one of them leads,
// asks for every tab's room and passes the answers on.

/**
 * @typedef {{id: number, name: string, text: string, sent: string, key?: string, mine?: boolean, edited?: boolean, deleted?: boolean, pending?: boolean}} Message
 * @typedef {{room: string, cursor: string, reset?: boolean, messages: Message[], here?: string[]}} Snapshot
 */

/** Milliseconds without a word of the leading tab after which another takes over. */
const SILENCE = 12000, SILENCE_HIDDEN = 150000;
const KEPT = 500;

const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
/** @param {number} ms */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** @param {string} sent */
function said(sent) {
  const date = new Date(sent);
  return (date.toDateString() === new Date().toDateString() ? clock : when).format(date);
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {...(string | Node)} content
 */
function element(tag, className, ...content) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...content);
  return e;
}

/** @param {string} name */
function face(name) {
  let sum = 0;
  for (let i = 0; i < name.length; i++) sum += name.charCodeAt(i);
  const e = element("span", `face hue-${sum % 8}`, [...name][0]?.toUpperCase() ?? "");
  e.setAttribute("aria-hidden", "true");
  return e;
}

/**
 * The text with its addresses as links; page.go does the same.
 * @param {string} text
 */
function linked(text) {
  /** @type {(string | Node)[]} */
  const out = [];
  let pos = 0;
  for (const found of text.matchAll(/https?:\/\/[^\s<>"]*[^\s<>".,:;!?'()[\]{}]/g)) {
    const a = document.createElement("a");
    a.href = a.textContent = found[0];
    a.rel = "nofollow noopener noreferrer";
    a.target = "_blank";
    out.push(text.slice(pos, found.index), a);
    pos = (found.index ?? 0) + found[0].length;
  }
  out.push(text.slice(pos));
  return out;
}

/** The tabs of this browser: one of them leads. */
class Tabs {
  #channel = new BroadcastChannel("sierpi-chat");
  #id = random();
  #term = 0;
  #leader = "";
  #heard = 0;
  #lead;
  #hear;

  /**
   * @param {{lead: (on: boolean) => void, hear: (data: any) => void}} to
   */
  constructor({ lead, hear }) {
    this.#lead = lead;
    this.#hear = hear;
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    addEventListener("pagehide", () => {
      if (this.leading) this.#channel.postMessage({ bye: true });
      this.#follow("");
    });
    addEventListener("pageshow", (event) => { if (event.persisted) this.#claimSoon(); });
    setInterval(() => {
      if (this.leading) { this.#channel.postMessage({ term: this.#term, leader: this.#id }); return; }
      if (Date.now() - this.#heard > (document.hidden ? SILENCE_HIDDEN : SILENCE)) this.#claim();
    }, 4000);
    this.#claimSoon();
  }

  get leading() { return this.#leader === this.#id; }

  /** @param {object} data */
  say(data) { this.#channel.postMessage(data); }

  // A moment, in which a tab that leads already answers.
  #claimSoon() {
    this.#channel.postMessage({ hello: true });
    setTimeout(() => { if (!this.#leader) this.#claim(); }, 150 + Math.random() * 150);
  }

  #claim() {
    this.#term++;
    this.#leader = this.#id;
    this.#channel.postMessage({ term: this.#term, leader: this.#id });
    this.#lead(true);
  }

  /** @param {string} leader */
  #follow(leader) {
    const led = this.leading;
    this.#leader = leader;
    if (led) this.#lead(false);
  }

  /** @param {any} data */
  #receive(data) {
    this.#heard = Date.now();
    if (data.hello && this.leading) this.#channel.postMessage({ term: this.#term, leader: this.#id });
    else if (data.bye) { this.#follow(""); this.#claimSoon(); }
    else if (data.leader) {
      // The later term leads; of two that claimed it at once, the greater name.
      if (data.term > this.#term || data.term === this.#term && data.leader >= this.#leader) {
        const news = data.leader !== this.#leader;
        this.#term = data.term;
        this.#follow(data.leader);
        if (news) this.#hear({ led: true });
      } else if (this.leading) this.#channel.postMessage({ term: this.#term, leader: this.#id });
    } else this.#hear(data);
  }
}

/** A room on the page. */
class Room {
  /** @type {Map<string, HTMLElement>} what was sent and has not come back yet, by key */
  #drafts = new Map();
  #owner;
  #unread = 0;
  #title = document.title;
  #state = /** @type {HTMLElement} */ (document.getElementById("state"));
  #here = /** @type {HTMLElement} */ (document.getElementById("here"));

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
    this.name = list.dataset.room ?? "";
    this.cursor = list.dataset.cursor ?? "";
    this.#owner = "owner" in list.dataset;
    for (const time of list.querySelectorAll("time")) time.textContent = said(time.dateTime);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.#unread = 0;
      document.title = this.#title;
    });
    list.addEventListener("submit", (event) => this.#change(event));
    this.toEnd();
  }

  toEnd() { this.list.scrollTop = this.list.scrollHeight; }

  /** @param {string} text */
  tell(text) { this.#state.textContent = text; }

  /** @param {Snapshot} answer */
  take(answer) {
    if (answer.room !== this.name) return;
    const end = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80;
    if (answer.reset) this.list.replaceChildren(...this.#drafts.values());
    const news = answer.messages.filter((m) => !m.deleted && !m.mine && !document.getElementById(`m${m.id}`)).length;
    for (const m of answer.messages) this.show(m);
    this.cursor = answer.cursor;
    if (answer.here) {
      this.#here.replaceChildren(...answer.here.map((name) => element("li", "", face(name), name)));
    }
    if (end) this.toEnd();
    if (document.hidden && !answer.reset && news > 0) {
      this.#unread += news;
      document.title = `(${this.#unread}) ${this.#title}`;
    }
  }

  /** @param {Message} message */
  show(message) {
    document.getElementById("nothing")?.remove();
    const e = this.#draw(message);
    if (message.key && message.mine) this.forget(message.key);
    const old = document.getElementById(`m${message.id}`);
    if (old) { old.replaceWith(e); return; }
    // In the order of ids, whatever order they come in.
    const later = [...this.list.children].find((c) => c.classList.contains("message") && (!c.id || +c.id.slice(1) > message.id));
    this.list.insertBefore(e, later ?? null);
    while (this.list.children.length > KEPT) this.list.firstElementChild?.remove();
  }

  /**
   * @param {string} key
   * @param {string} name
   * @param {string} text
   */
  draft(key, name, text) {
    const e = this.#draw({ id: 0, name, text, sent: new Date().toISOString(), mine: true, pending: true });
    this.#drafts.set(key, e);
    this.list.append(e);
    this.toEnd();
  }

  /** @param {string} key */
  forget(key) {
    this.#drafts.get(key)?.remove();
    this.#drafts.delete(key);
  }

  /** @param {Message} m */
  #draw(m) {
    const time = document.createElement("time");
    time.className = "meta";
    time.dateTime = m.sent;
    time.textContent = said(m.sent);
    const who = element("p", "who", face(m.name), element("b", "", m.name), " ", time);
    if (m.edited) who.append(" ", element("span", "meta", "edited"));
    const what = element("p", "what", ...(m.deleted ? ["deleted"] : linked(m.text)));
    const e = element("li", ["message", m.mine && "mine", m.deleted && "deleted", m.pending && "pending"].filter(Boolean).join(" "), who, what);
    if (!m.id) return e;
    e.id = `m${m.id}`;
    if (!m.deleted && (m.mine || this.#owner)) e.append(this.#actions(m));
    return e;
  }

  /** @param {Message} m */
  #actions(m) {
    const summary = element("summary", "", "…");
    summary.setAttribute("aria-label", "Change this message");
    const all = element("div", "");
    /**
     * @param {string} className
     * @param {string} action
     * @param {...Node} fields
     */
    const form = (className, action, ...fields) => {
      const f = /** @type {HTMLFormElement} */ (element("form", className, ...fields));
      f.method = "post";
      f.action = action;
      all.append(f);
    };
    const path = `/chat/${this.name}/${m.id}`;
    /**
     * @param {string} name
     * @param {string} value
     */
    const hidden = (name, value) => Object.assign(document.createElement("input"), { type: "hidden", name, value });
    if (m.mine) {
      const area = Object.assign(document.createElement("textarea"), { name: "text", rows: 2, maxLength: 2000, required: true, value: m.text });
      area.setAttribute("aria-label", "Message");
      form("change", path, area, element("button", "", "Save"));
    }
    form("delete", path, hidden("text", ""), element("button", "danger", "Delete"));
    if (this.#owner && !m.mine) {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "all", value: "true" });
      form("silence", `${path}/silence`, element("label", "", box, " and delete all of theirs"), element("button", "danger", `Silence ${m.name}`));
    }
    return element("details", "act", summary, all);
  }

  /** @param {SubmitEvent} event */
  async #change(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.className === "silence") return; // the page shows who is silenced
    event.preventDefault();
    try {
      const response = await fetch("/json" + new URL(form.action).pathname, {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text: new FormData(form).get("text") }),
      });
      const answer = await response.json();
      if (!response.ok) { this.tell(`${answer.error}; ${answer.remedy}`); return; }
      this.tell("");
      this.show(answer);
    } catch {
      this.tell("No connection: nothing was changed.");
    }
  }
}

/** The one poll of all tabs. */
class Poll {
  /** @type {Map<string, string>} the cursor of each wanted room */
  #wanted = new Map();
  #client = random();
  #round = 0;
  /** @type {AbortController | undefined} */
  #open;

  /**
   * @param {{name: () => string, take: (answer: Snapshot) => void, gone: (room: string) => void, tell: (text: string) => void}} to
   */
  constructor(to) { this.to = to; }

  /**
   * @param {string} room
   * @param {string} cursor
   */
  want(room, cursor) {
    if (this.#wanted.has(room)) return;
    this.#wanted.set(room, cursor);
    this.#open?.abort();
  }

  stop() {
    this.#round++;
    this.#open?.abort();
    this.#wanted.clear();
  }

  async run() {
    const round = ++this.#round;
    for (let failures = 0; round === this.#round;) {
      const open = this.#open = new AbortController();
      const timeout = setTimeout(() => open.abort(), 40000);
      const asked = [...this.#wanted].slice(0, 8);
      try {
        const response = await fetch("/json/chat-poll", {
          method: "POST", signal: open.signal, headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ client: this.#client, name: this.to.name(), cursors: asked.map(([, cursor]) => cursor) }),
        });
        if (response.status === 404 || response.status === 400) { // a room has gone, or the cursor is of another time
          for (const [room] of asked) await this.#anew(room);
          if (this.#wanted.size === 0) return;
          await sleep(1000);
          continue;
        }
        if (!response.ok) throw new Error(response.headers.get("Retry-After") ?? "");
        const body = await response.json();
        if (round !== this.#round) return;
        if (failures) this.to.tell("");
        failures = 0;
        for (const answer of body.rooms) {
          this.#wanted.set(answer.room, answer.cursor);
          this.to.take(answer);
        }
        if (body.stopping) await sleep(500 + Math.random() * 1000);
      } catch (error) {
        const { name, message } = /** @type {Error} */ (error);
        if (name === "AbortError") continue; // another tab's room came in, or the answer got lost
        failures++;
        if (failures > 1) this.to.tell("No connection; trying again.");
        await sleep((Number(message) * 1000 || Math.min(500 * 2 ** failures, 15000)) * (0.75 + Math.random() / 2));
      } finally {
        clearTimeout(timeout);
      }
    }
  }

  /** @param {string} room */
  async #anew(room) {
    const fresh = await fetch(`/json/chat/${room}`);
    if (!fresh.ok) {
      this.#wanted.delete(room);
      this.to.gone(room);
      return;
    }
    const answer = { ...await fresh.json(), reset: true };
    this.#wanted.set(room, answer.cursor);
    this.to.take(answer);
  }
}

/**
 * Sends until it is acknowledged, under one key: it cannot be doubled.
 * @param {Room} room
 * @param {string} key
 * @param {string} name
 * @param {string} text
 * @returns {Promise<boolean>} false when it was refused
 */
async function send(room, key, name, text) {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await fetch(`/json/chat/${room.name}`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key, name, text }),
      });
      if (response.ok) {
        room.show(await response.json());
        room.toEnd();
        return true;
      }
      if (response.status < 500 && response.status !== 429) {
        const { error, remedy } = await response.json();
        room.forget(key);
        room.tell(`${error}; ${remedy}`);
        return false;
      }
      await sleep((Number(response.headers.get("Retry-After")) || 2) * 1000);
    } catch {
      await sleep(Math.min(1000 * 2 ** attempt, 15000));
    }
  }
}

/**
 * @param {HTMLElement} list
 * @param {HTMLFormElement} form
 */
function begin(list, form) {
  const room = new Room(list);
  const nameBox = /** @type {HTMLInputElement} */ (form.elements.namedItem("name"));
  const textBox = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("text"));
  nameBox.value ||= localStorage.getItem("sierpi-chat-name") ?? "";
  const name = () => nameBox.value.trim() || "guest";

  /** @param {string} gone */
  const gone = (gone) => { if (gone === room.name) room.tell("This room has been removed."); };
  const poll = new Poll({
    name,
    take: (answer) => { room.take(answer); tabs.say({ answer }); },
    gone: (name) => { gone(name); tabs.say({ gone: name }); },
    tell: (state) => { room.tell(state); tabs.say({ state }); },
  });
  const tabs = new Tabs({
    lead: (on) => {
      poll.stop();
      if (!on) return;
      poll.want(room.name, room.cursor);
      poll.run();
    },
    hear: (data) => {
      if (data.answer) room.take(data.answer);
      if (data.gone) gone(data.gone);
      if (data.state !== undefined) room.tell(data.state);
      if (data.want && tabs.leading) poll.want(data.want.room, data.want.cursor);
      if (data.led) tabs.say({ want: { room: room.name, cursor: room.cursor } });
    },
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = textBox.value.trim(), key = random();
    if (!text) return;
    localStorage.setItem("sierpi-chat-name", nameBox.value.trim());
    room.draft(key, name(), text);
    textBox.value = "";
    if (!await send(room, key, name(), text)) textBox.value ||= text;
  });
  textBox.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}

for (const time of document.querySelectorAll("time")) time.textContent = said(time.dateTime);
const list = document.getElementById("messages"), form = document.querySelector("form.say");
if (list && form instanceof HTMLFormElement) begin(list, form);
