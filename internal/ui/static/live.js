// Pages that renew themselves by server-sent events (WHATWG HTML, section 9.2).
// Within the element with data-live, the address of a stream, those with
// data-live-event take the events of that name:
//
//	newest  each is put first
//	all     each is the whole list; of a row that stays as it is, the id alone
//	whole   each is put in the place of all that was there
"use strict";

const lives = new Set();
const longestWait = 60_000; // ms between two tries to connect
const lostAfter = 5_000; // ms without a connection before it is said

class Live {
  constructor(root) {
    this.root = root;
    this.control = root.querySelector("[data-live-control]");
    this.paused = false;
    this.wait = 1_000;
    this.open();
    if (this.control) {
      this.control.hidden = false;
    }
  }

  open() {
    const at = new URL(this.root.dataset.live, location.href);
    if (this.last) {
      at.searchParams.set("after", this.last);
    }
    this.source = new EventSource(at);
    this.source.onopen = () => {
      this.wait = 1_000;
      this.connected();
    };
    this.source.onerror = () => this.broken();
    for (const place of [this.root, ...this.root.querySelectorAll("[data-live-event]")]) {
      if (place.dataset.liveEvent) {
        this.source.addEventListener(place.dataset.liveEvent, (message) => this.take(place, message));
      }
    }
  }

  connected() {
    clearTimeout(this.losing);
    this.losing = undefined;
    this.say("on");
  }

  // A stream that has ended is opened again by the browser. One that was refused
  // is not; that is for us, after ever longer.
  broken() {
    this.losing ??= setTimeout(() => this.say("lost"), lostAfter);
    if (this.source.readyState === EventSource.CLOSED) {
      this.trying = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(2 * this.wait, longestWait);
    }
  }

  close() {
    clearTimeout(this.trying);
    clearTimeout(this.losing);
    this.losing = undefined;
    this.source.close();
  }

  pause() {
    this.paused = !this.paused;
    const button = this.control.querySelector("[data-live-pause]");
    button.textContent = this.paused ? button.dataset.resume : button.dataset.pause;
    if (this.paused) {
      this.close();
      this.say("off");
    } else {
      this.open();
      this.connected();
    }
  }

  say(state) {
    if (this.control) {
      const text = this.control.querySelector("[data-live-state]");
      text.textContent = text.getAttribute(`data-say-${state}`);
      this.control.dataset.state = state;
    }
  }

  take(place, message) {
    if (!this.root.isConnected) {
      forgetLost();
      return;
    }
    this.last = message.lastEventId || this.last;
    const box = document.createElement("template");
    box.innerHTML = message.data;
    const how = { newest: putFirst, all: putAll, whole: putWhole };
    how[place.dataset.liveHow](place, box.content);
    this.leadOn(place);
  }

  // What has been pushed out of the list is on the next page.
  leadOn(place) {
    const more = this.root.querySelector("[data-live-more]");
    const last = place.lastElementChild?.dataset.order;
    if (!more || !last) {
      return;
    }
    const link = more.querySelector("a");
    const next = new URL(link.href);
    next.searchParams.set("before", last);
    link.href = next;
    if (place.childElementCount >= Number(place.dataset.liveMost)) {
      more.hidden = false;
    }
  }
}

function putFirst(place, fresh) {
  for (const node of [...fresh.children]) {
    const known = node.id && document.getElementById(node.id);
    if (known) {
      continue; // sent once more after a break
    }
    place.prepend(node);
    revive(node);
  }
  while (place.dataset.liveMost && place.childElementCount > Number(place.dataset.liveMost)) {
    place.lastElementChild.remove();
  }
}

// putAll touches no row but those that have changed, so that whoever is at one
// stays there.
function putAll(place, fresh) {
  const rows = [...fresh.querySelectorAll("tr")];
  const kept = new Set(rows.map((row) => row.id));
  for (const row of [...place.children]) {
    if (!kept.has(row.id)) {
      row.remove();
    }
  }
  let at = place.firstElementChild;
  for (const row of rows) {
    const known = document.getElementById(row.id);
    if (!known) {
      place.insertBefore(row, at);
      revive(row);
      continue;
    }
    at = known.nextElementSibling;
    if (known.dataset.mark !== row.dataset.mark && row.childElementCount > 0) {
      known.replaceWith(row);
      revive(row);
    }
  }
}

// putWhole leaves what someone is writing in.
function putWhole(place, fresh) {
  if (place.contains(document.activeElement) && document.activeElement.matches("input, textarea")) {
    return;
  }
  place.replaceChildren(fresh);
  revive(place);
}

// forgetLost closes the streams of what is no longer on the page.
function forgetLost() {
  for (const live of lives) {
    if (!live.root.isConnected) {
      live.close();
      lives.delete(live);
    }
  }
}

function connectLive(root) {
  forgetLost();
  const found = [...root.querySelectorAll("[data-live]")];
  if (root.dataset?.live) {
    found.push(root);
  }
  for (const one of found) {
    if (![...lives].some((live) => live.root === one)) {
      lives.add(new Live(one));
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-live-pause]");
  if (button) {
    [...lives].find((live) => live.root.contains(button))?.pause();
  }
});

// Nobody looks at a page in the background, which would hold a connection.
document.addEventListener("visibilitychange", () => {
  for (const live of lives) {
    live.close();
    if (!document.hidden && !live.paused) {
      live.open();
    }
  }
});
