// Keeps a room up to date. All tabs of a browser share one poll: the tab that
// holds a lock asks for every tab's room and passes the answers on.
const list = document.getElementById('messages');
const form = document.querySelector('form.say');

if (list && form) {
  const room = list.dataset.room;
  let cursor = list.dataset.cursor;
  const channel = new BroadcastChannel('sierpi-chat');
  const state = document.getElementById('state');
  const nameBox = form.elements.namedItem('name'), textBox = form.elements.namedItem('text');
  const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  const sleep = ms => new Promise(done => setTimeout(done, ms));
  const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const atEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const toEnd = () => { list.scrollTop = list.scrollHeight; };
  nameBox.value ||= localStorage.getItem('sierpi-chat-name') ?? '';

  const draw = message => {
    const el = document.createElement('li');
    el.className = 'message' + (message.mine ? ' mine' : '') + (message.deleted ? ' deleted' : '') + (message.pending ? ' pending' : '');
    const who = document.createElement('p'), what = document.createElement('p'), name = document.createElement('b'), when = document.createElement('time');
    who.className = 'who'; what.className = 'what'; when.className = 'meta';
    name.textContent = message.name;
    when.dateTime = message.sent; when.textContent = time.format(new Date(message.sent));
    who.append(name, ' ', when);
    if (message.edited) { const e = document.createElement('span'); e.className = 'meta'; e.textContent = ' edited'; who.append(e); }
    what.textContent = message.deleted ? 'deleted' : message.text;
    el.append(who, what);
    if (message.id) el.id = 'm' + message.id;
    return el;
  };
  const drafts = new Map(); // of what was sent and has not come back yet, by key
  const show = message => {
    document.getElementById('nothing')?.remove();
    const el = draw(message);
    const draft = drafts.get(message.key);
    if (draft && message.mine) { draft.remove(); drafts.delete(message.key); }
    const old = document.getElementById('m' + message.id);
    if (old) { old.replaceWith(el); return; }
    // In the order of ids, whatever order they come in.
    const later = [...list.children].find(c => !c.id || +c.id.slice(1) > message.id);
    list.insertBefore(el, later ?? null);
    while (list.children.length > 500) list.firstElementChild.remove();
  };
  const take = answer => {
    if (answer.room !== room) return;
    const end = atEnd();
    if (answer.reset) list.replaceChildren(...drafts.values());
    answer.messages.forEach(show);
    cursor = answer.cursor;
    document.getElementById('here').textContent = answer.here?.length ? 'Here: ' + answer.here.join(', ') : '';
    if (end) toEnd();
  };
  toEnd();

  // The one poll. wanted: the cursor of each tab's room, by room.
  const wanted = new Map([[room, cursor]]);
  let polling;
  channel.onmessage = ({ data }) => {
    if (data.answer) take(data.answer);
    if (data.state !== undefined) state.textContent = data.state;
    if (data.want && leading) {
      if (!wanted.has(data.want.room)) { wanted.set(data.want.room, data.want.cursor); polling?.abort(); }
    }
    if (data.lead && !leading) channel.postMessage({ want: { room, cursor } });
  };
  const tell = text => { state.textContent = text; channel.postMessage({ state: text }); };
  let leading = false;
  const client = random();
  const lead = async () => {
    leading = true;
    wanted.set(room, cursor);
    channel.postMessage({ lead: true }); // the others say which rooms they want
    for (let failures = 0; ;) {
      polling = new AbortController();
      const asked = [...wanted].slice(0, 8);
      try {
        const timeout = setTimeout(() => polling.abort(), 40000);
        const response = await fetch('/json/chat-poll', { method: 'POST', signal: polling.signal, headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ client, name: nameBox.value.trim(), cursors: asked.map(([, c]) => c) }) });
        if (response.status === 404 || response.status === 400) { // a room has gone, or the cursor is of another time
          for (const [name] of asked) {
            const fresh = await fetch('/json/chat/' + name);
            if (!fresh.ok) { wanted.delete(name); if (name === room) { tell('This room has been removed.'); return; } continue; }
            const answer = { ...await fresh.json(), reset: true };
            wanted.set(name, answer.cursor); take(answer); channel.postMessage({ answer });
          }
          clearTimeout(timeout);
          await sleep(1000);
          continue;
        }
        if (!response.ok) throw new Error(response.headers.get('Retry-After') ?? '');
        const body = await response.json();
        clearTimeout(timeout);
        if (failures) tell('');
        failures = 0;
        for (const answer of body.rooms) {
          wanted.set(answer.room, answer.cursor);
          take(answer);
          channel.postMessage({ answer });
        }
        if (body.stopping) await sleep(500 + Math.random() * 1000);
      } catch (err) {
        if (err.name === 'AbortError') continue; // another tab's room came in, or the answer got lost
        failures++;
        if (failures > 1) tell('No connection; trying again.');
        await sleep((Number(err.message) * 1000 || Math.min(500 * 2 ** failures, 15000)) * (0.75 + Math.random() / 2));
      }
    }
  };
  channel.postMessage({ want: { room, cursor } });
  // Web Locks need a secure context, which plain http on a local network is not:
  // there each tab has its own poll, and browsers allow six.
  if (navigator.locks) navigator.locks.request('sierpi-chat', lead); else lead();

  const send = async (key, name, text) => {
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch('/json/chat/' + room, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ key, name, text }) });
        if (response.ok) { show(await response.json()); toEnd(); return; }
        if (response.status < 500 && response.status !== 429) {
          const { error, remedy } = await response.json();
          drafts.get(key)?.remove(); drafts.delete(key);
          textBox.value ||= text;
          tell(error + '; ' + remedy);
          return;
        }
        await sleep((Number(response.headers.get('Retry-After')) || 2) * 1000);
      } catch {
        await sleep(Math.min(1000 * 2 ** attempt, 15000)); // under the same key: it cannot be doubled
      }
    }
  };
  form.addEventListener('submit', event => {
    event.preventDefault();
    const text = textBox.value.trim(), name = nameBox.value.trim() || 'guest';
    if (!text) return;
    localStorage.setItem('sierpi-chat-name', nameBox.value.trim());
    const key = random(), draft = draw({ name, text, sent: new Date().toISOString(), mine: true, pending: true });
    drafts.set(key, draft);
    list.append(draft);
    toEnd();
    textBox.value = '';
    send(key, name, text);
  });
  textBox.addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
}
