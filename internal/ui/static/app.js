// Makes the pages livelier. Whatever changes something works without it.
"use strict";

// The reader's own way to write the language of the page, as en-GB.
const language = document.documentElement.lang;
const locale = navigator.languages.find((one) => one.split("-")[0] === language) ?? language;

// Times are sent in UTC; show them as the reader's clock has them.
function localTimes(root) {
  const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time:not([title])")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

// Times are asked for in UTC too; let the reader write them by the same clock.
function localFields(root) {
  for (const field of root.querySelectorAll('input[type="datetime-local"][name]')) {
    const sent = document.createElement("input");
    sent.type = "hidden";
    sent.name = field.name;
    sent.value = field.value;
    field.removeAttribute("name");
    field.after(sent);
    if (field.value) {
      const at = new Date(`${field.value}Z`);
      field.value = new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    }
    field.addEventListener("input", () => { sent.value = field.value && new Date(field.value).toISOString().slice(0, 16); });
    const label = field.parentElement.querySelector("[data-local]");
    label.textContent = label.dataset.local;
  }
}

function revive(root) {
  localTimes(root);
  localFields(root);
  for (const hidden of root.querySelectorAll("[data-copy][hidden], [data-tree-search][hidden]")) {
    hidden.hidden = false;
  }
  connectLive(root);
}

async function copy(button) {
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  const label = button.querySelector("span");
  const before = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => { label.textContent = before; }, 1500);
}

// Narrows a tree of event types to those that hold every word.
function narrow(input) {
  const tree = document.querySelector(input.dataset.filter);
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of tree.querySelectorAll("details")) {
    let shown = 0;
    for (const item of group.querySelectorAll("li")) {
      const text = item.dataset.text.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      shown += item.hidden ? 0 : 1;
    }
    group.hidden = shown === 0;
    if (words.length > 0) {
      group.open = shown > 0;
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
  const back = event.target.closest("[data-back]");
  if (back && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-filter]")) {
    narrow(event.target);
  }
});

document.addEventListener("htmx:load", (event) => revive(event.detail.elt));
revive(document);
