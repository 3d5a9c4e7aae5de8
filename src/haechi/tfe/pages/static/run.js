// The run page, live: logs as terraform prints them, and every [data-live] part as the run goes on. The server renders; this only fetches.
const STX = "\u0002", ETX = "\u0003", PART_BYTES = 65536, LOOK_MS = 1500;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const isFinal = () => document.querySelector('[data-live="head"]').dataset.final === "1";

// ANSI colours as spans; text is never read as HTML. The style goes on from one piece to the next.
class Painter {
  constructor(element) { this.element = element; this.style = new Set(); this.rest = ""; }
  write(text) {
    text = this.rest + text;
    const cut = text.search(/\x1b(\[[0-9;]*)?$/);
    this.rest = cut < 0 ? "" : text.slice(cut);
    if (cut >= 0) text = text.slice(0, cut);
    const below = this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight < 40;
    for (const part of text.split(/(\x1b\[[0-9;]*m)/)) {
      const code = /^\x1b\[([0-9;]*)m$/.exec(part);
      if (code) this.turn(code[1]);
      else if (part) this.add(part);
    }
    if (below) this.element.scrollTop = this.element.scrollHeight;
  }
  turn(codes) {
    for (const code of codes.split(";").map(Number)) {
      if (code === 0) this.style.clear();
      else if (code === 1) this.style.add("b");
      else if (code === 4) this.style.add("u");
      else {
        for (const name of [...this.style]) if (name.startsWith("c")) this.style.delete(name);
        if (code !== 39) this.style.add(`c${code}`);
      }
    }
  }
  add(text) {
    const span = document.createElement("span");
    span.className = [...this.style].join(" ");
    span.textContent = text;
    this.element.append(span);
  }
}

async function follow(element) {
  const painter = new Painter(element), decoder = new TextDecoder();
  let offset = 0;
  for (;;) {
    const last = isFinal();  // read before asking: what comes after it is the end
    let data = new ArrayBuffer(0);
    try {
      const address = new URL(element.dataset.log);
      const answer = await fetch(`${address.pathname}?limit=${PART_BYTES}&offset=${offset}`);
      if (answer.ok) data = await answer.arrayBuffer();
    } catch { /* the server is away for a moment */ }
    offset += data.byteLength;
    const text = decoder.decode(data, { stream: true });
    painter.write(text.replaceAll(STX, "").replaceAll(ETX, ""));
    if (text.includes(ETX) || (last && data.byteLength === 0)) return;
    if (data.byteLength === 0) await wait(LOOK_MS / 3);
  }
}

async function refresh() {
  while (!isFinal()) {
    await wait(LOOK_MS);
    let page;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok || answer.redirected) continue;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch { continue; }
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
      const typing = part.contains(document.activeElement) && document.activeElement.value;
      if (fresh && !typing && fresh.outerHTML !== part.outerHTML) part.replaceWith(fresh);
    }
  }
}

for (const element of document.querySelectorAll("[data-log]")) follow(element);
refresh();
