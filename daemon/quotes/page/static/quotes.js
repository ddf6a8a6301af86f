// Searches while you type, and gives the page its keys. Without this script the
// form and the links do the same, a page at a time.
const form = document.getElementById('quote-search');
const results = document.getElementById('results');

if (form && results) {
  let timer, running;
  const query = () => {
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value.trim()) params.set(name, value);
    return params;
  };
  let shown = query().toString();

  const search = async () => {
    const params = query();
    if (params.toString() === shown) return;
    running?.abort();
    running = new AbortController();
    const mine = running;
    results.setAttribute('aria-busy', 'true');
    try {
      const answer = await fetch('/quotes/results?' + params, { signal: mine.signal });
      if (!answer.ok) return;
      const html = await answer.text();
      if (mine !== running) return; // a later one is on its way
      results.innerHTML = html; // escaped by the server's template
      shown = params.toString();
      history.replaceState(null, '', '/quotes' + (shown ? '?' + shown : ''));
    } catch (err) {
      if (err.name !== 'AbortError') shown = ''; // offline: the next key tries again
    } finally {
      if (mine === running) results.removeAttribute('aria-busy');
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(search, 120); };

  for (const field of form.elements) field.addEventListener('input', soon);
  form.addEventListener('submit', event => { event.preventDefault(); clearTimeout(timer); search(); });
}

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.closest('input, textarea, select');
  const links = [...document.querySelectorAll('.quotes .permalink')];
  const at = links.indexOf(document.activeElement);
  const go = i => { if (links[i]) { links[i].focus(); links[i].closest('li').scrollIntoView({ block: 'nearest' }); event.preventDefault(); } };
  if (typing) {
    if (event.key === 'Escape') { typing.blur(); event.preventDefault(); }
    if (event.key === 'ArrowDown' && typing.id === 'q') go(0);
    return;
  }
  switch (event.key) {
    case '/': {
      const box = document.getElementById('q');
      if (box) { box.focus(); box.select(); event.preventDefault(); }
      break;
    }
    case 'j': case 'ArrowDown': if (event.key === 'j' || at >= 0) go(at + 1); break;
    case 'k': case 'ArrowUp': if (event.key === 'k' || at >= 0) go(Math.max(at - 1, 0)); break;
    case 'r': location.href = '/quotes/random'; break;
  }
});
